"""What checks and bounds look at in a workflow, so that they need not know its class."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from engine.definition.conversation import Conversation
from engine.definition.graph import Graph
from engine.definition.guard_policy import GuardRule
from engine.definition.guardrail import Guardrail
from engine.definition.node import Node
from engine.definition.policies import Budget
from engine.definition.state import State


class Shape(Protocol):
    """The parts of a workflow that say what can happen in a run."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def state(self) -> type[State]:
        """The fields that its nodes share."""
        ...

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes by name."""
        ...

    @property
    def budget(self) -> Budget:
        """What a run may spend."""
        ...

    @property
    def graph(self) -> Graph:
        """The edges in their normal form."""
        ...

    @property
    def output(self) -> Sequence[str] | None:
        """The fields that a run returns."""
        ...

    @property
    def guard_input(self) -> Sequence[Guardrail]:
        """What looks at the input."""
        ...

    @property
    def guard_output(self) -> Sequence[Guardrail]:
        """What looks at what is returned."""
        ...

    @property
    def policy(self) -> Sequence[GuardRule]:
        """What is done about what guardrails find."""
        ...

    @property
    def conversation(self) -> Conversation | None:
        """Which fields make a turn."""
        ...

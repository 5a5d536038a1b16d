"""Which model a node asks where that is not one role for ever: by a field, or a small one first."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator

from engine.definition.by_path import Component, Many
from engine.definition.edges import branch_key, keyed
from engine.definition.node import StepContext
from engine.definition.state import State, fields_of
from engine.errors import NodeFailed
from engine.nodes.checks import Check, fields_of_check, reasons_against


class ModelChoice(Component):
    """A way to choose among model roles."""

    @property
    def asks(self) -> tuple[str, ...]:
        """Every role that may be asked."""
        return ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields that decide."""
        return ()

    def faults(self, state: type[State]) -> list[str]:
        """Say what is wrong with it, a sentence each."""
        del state
        return []


class Switch(ModelChoice):
    """The role by the value of a field: `Switch(on="difficulty", to={"easy": "small", "hard": "large"})`."""

    on: str
    """The field that decides."""
    to: Mapping[str, str] = Field(min_length=1)
    """The role for each value; booleans are `true` and `false`."""
    default: str | None = None
    """The role for every other value; without one they are an error."""

    @field_validator("to", mode="before")
    @classmethod
    def _keys_as_text(cls, to: Any) -> Any:
        return keyed(to)

    @property
    def asks(self) -> tuple[str, ...]:
        """Those of the values, and the default."""
        return tuple(dict.fromkeys([*self.to.values(), *([self.default] if self.default else [])]))

    @property
    def reads(self) -> tuple[str, ...]:
        """The one field."""
        return (self.on,)

    def faults(self, state: type[State]) -> list[str]:
        """Check that there is such a field."""
        there = self.on in fields_of(state)
        return [] if there else [f"its model is chosen by {self.on!r}, which is not a field of {state.__name__}"]

    def role_for(self, value: Any) -> str:
        """Give the role for a value of the field.

        Raises:
            NodeFailed: there is none, and no default.
        """
        role = self.to.get(branch_key(value), self.default)
        if role is None:
            raise NodeFailed(f"no model is given for {self.on} = {value!r}: give the Switch a default")
        return role


class Cascade(ModelChoice):
    """Small first: the next role is asked when an answer does not pass the checks, has no shape, or does not come.

    What the last role says is not checked here: guardrails and a Validate behind the node do that. Answers that are
    yet to be checked are not streamed.
    """

    roles: Many[str] = Field(min_length=2)
    """The roles, the cheapest first."""
    check: Many[Check] = Field(min_length=1)
    """Guardrails, or functions of fields that return True or what is wrong; they see what the node would write."""

    @property
    def asks(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self.roles)

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields that the checks name."""
        return tuple(dict.fromkeys(name for check in self.check for name in fields_of_check(check)))

    async def doubts(self, inputs: Mapping[str, Any], update: Mapping[str, Any], ctx: StepContext) -> list[str]:
        """Ask every check about an answer, and give why it will not do."""
        values, written = {**inputs, **update}, tuple(update)
        return [reason for check in self.check for reason in await reasons_against(check, written, values, ctx)]


def _load(value: Any) -> Any:
    if isinstance(value, str | ModelChoice | Mapping):
        return value if isinstance(value, str) else ModelChoice.load(value)
    raise ValueError("a role, as in 'large', a Switch or a Cascade is expected")


RoleOrChoice = Annotated[str | SerializeAsAny[ModelChoice], BeforeValidator(_load)]
"""A field for the model of a node: a role, or a choice among several."""


def roles_of(model: str | ModelChoice) -> tuple[str, ...]:
    """Give every role that may be asked."""
    return (model,) if isinstance(model, str) else model.asks


def reads_of(model: str | ModelChoice) -> tuple[str, ...]:
    """Give the fields that decide."""
    return () if isinstance(model, str) else model.reads

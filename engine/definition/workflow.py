"""A workflow is a value: if it could be built, it is valid, and its version is a hash of all that it says."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol, Self, cast

from pydantic import Field

from engine.definition import mermaid as drawing
from engine.definition.by_path import Frozen, Many, source_of
from engine.definition.check import faults_in
from engine.definition.conversation import Conversation
from engine.definition.edges import AnyEdge
from engine.definition.graph import Graph
from engine.definition.guard_policy import GuardRule
from engine.definition.guardrail import AnyGuardrail
from engine.definition.named_code import code_in, guardrails_in
from engine.definition.node import AnyNode
from engine.definition.policies import Budget
from engine.definition.state import StateType
from engine.definition.taint import origins_of_fields
from engine.definition.text_origin import PROMPT, Origins, Source, TextOrigin
from engine.errors import DefinitionError


class GraphMaker(Protocol):
    """What makes graphs of workflows: an App."""

    def to_langgraph(self, workflow: str, checkpointer: Any = None) -> Any:
        """Give the workflow of a name as a compiled graph."""
        ...


class Workflow(Frozen):
    """Nodes, the edges between them, the state they share, and what a run of them may spend.

    Raises:
        DefinitionError: the workflow is not valid; the message lists every fault, a sentence each.
    """

    name: str
    """How people and the ledger call it: lower case with hyphens."""
    description: str = ""
    """What it is for, in a sentence."""
    state: StateType
    """The fields that its nodes read and write; those without a default are its input."""
    nodes: Mapping[str, AnyNode]
    """The nodes by name."""
    edges: Many[AnyEdge]
    """The ways between them, from START to END."""
    output: Many[str] | None = None
    """The fields that a run returns; all of them if not given."""
    conversation: Conversation | None = None
    """Which fields make a turn, where runs with the same `conversation_id` are to hear one another."""
    budget: Budget = Field(default_factory=Budget)
    """The most that one run may spend."""
    guard_input: Many[AnyGuardrail] = ()
    """Guardrails for the input of a run."""
    guard_output: Many[AnyGuardrail] = ()
    """Guardrails for what a run returns."""
    policy: Many[GuardRule] = ()
    """What is done about what guardrails find, wherever in the workflow; the first row that fits decides."""

    def model_post_init(self, context: Any, /) -> None:
        """Check the whole; a definition with a fault is never built."""
        del context
        if faults := faults_in(self):
            raise DefinitionError(f"the workflow {self.name!r}", faults)

    @cached_property
    def roles(self) -> frozenset[str]:
        """The model roles that its nodes ask, or may ask when the budget runs low."""
        asked = {role for node in self.nodes.values() for role in node.roles}
        asked |= {one.judge.model for one in guardrails_in(self) if one.judge is not None}
        return frozenset(asked.union(*(rung.models.values() for rung in self.budget.ladder)))

    @cached_property
    def origins(self) -> Mapping[str, Origins]:
        """Who may have a part in what each field holds, where the user gives its input."""
        return origins_of_fields(self)

    @cached_property
    def prompts(self) -> tuple[Source, ...]:
        """What its author says to models, in its nodes and those inside them."""
        said = (prompt for node in self.nodes.values() for prompt in node.prompts)
        return tuple(Source(name=PROMPT, origins=frozenset({TextOrigin.SYSTEM}), value=prompt.parts) for prompt in said)

    @property
    def graph(self) -> Graph:
        """The edges in their normal form."""
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        fallbacks = {name: node.fallback for name, node in self.nodes.items() if node.fallback}
        return Graph.of(self.nodes, self.edges, fallbacks)

    @cached_property
    def version(self) -> str:
        """The sha256 of the definition, its prompts and the source of the code that it names (hex)."""
        digest = hashlib.sha256(self.to_json().encode())
        for path in sorted(set(code_in(self))):
            digest.update(f"\0{path}\0{source_of(path.load())}".encode())
        return digest.hexdigest()

    @cached_property
    def code(self) -> Mapping[str, str]:
        """The code that the definition names, each with the sha256 of its source (first 16 hex digits)."""
        paths = sorted(set(code_in(self)))
        return {str(path): hashlib.sha256(source_of(path.load()).encode()).hexdigest()[:16] for path in paths}

    def to_json(self) -> str:
        """Write the definition as canonical JSON; what stands at its default is left out."""
        plain = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Build the workflow that `to_json` wrote; it has the same version.

        Raises:
            DefinitionError: the text is not JSON, names code that cannot be imported, or is not valid.
        """
        try:
            plain = json.loads(text)
        except ValueError as error:
            raise DefinitionError("the workflow", [f"it is not JSON: {error}"]) from error
        if not isinstance(plain, dict):
            raise DefinitionError("the workflow", ["a JSON object is expected"])
        return cls(**cast("dict[str, Any]", plain))

    def to_langgraph(self, app: "GraphMaker", checkpointer: Any = None) -> Any:
        """Give the workflow as a compiled graph of LangGraph whose runs are an app's; see `App.to_langgraph`."""
        return app.to_langgraph(self.name, checkpointer)

    def mermaid(self) -> str:
        """Draw the graph as a Mermaid flowchart."""
        return drawing.mermaid(self.graph, {name: type(node).__name__ for name, node in self.nodes.items()})

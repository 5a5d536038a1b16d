"""Subflow: another workflow as a node, with a state, a version, a budget and guardrails of its own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from engine.definition.bounds import model_calls
from engine.definition.call_bound import CallBound
from engine.definition.fits import can_hold, show
from engine.definition.guardrail import Guardrail
from engine.definition.node import Node, StepContext, Update
from engine.definition.prompt import Prompt
from engine.definition.state import State, fields_of
from engine.definition.taint import origins_of_fields
from engine.definition.text_origin import Origins, TextOrigin
from engine.definition.workflow import Workflow


class Subflow(Node):
    """Run a workflow inside a step; its steps stand in the ledger under this one.

    It draws from the budget of the workflow around it and never passes its own. A run that goes on after a crash goes
    on inside it: steps that had finished are not run again.
    """

    may_be_cached: ClassVar[bool] = False
    brings: ClassVar[TextOrigin | None] = None

    workflow: Workflow
    """The workflow; its version is part of the version of the workflow around it."""
    input: Mapping[str, str] = Field(default_factory=dict)
    """Its fields, each with the field that holds the value."""
    constants: Mapping[str, Any] = Field(default_factory=dict)
    """Its fields that always have the same value, JSON."""
    into: Mapping[str, str]
    """The fields that it returns, each with the field that the value goes to."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields that hold its input."""
        return tuple(dict.fromkeys(self.input.values()))

    @property
    def writes(self) -> Mapping[str, Any]:
        """Where what it returns goes."""
        known = fields_of(self.workflow.state)
        return {to: known[name].annotation if name in known else Any for name, to in self.into.items()}

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that its nodes ask."""
        return tuple(dict.fromkeys(role for node in self.workflow.nodes.values() for role in node.roles))

    @property
    def prompts(self) -> Sequence[Prompt]:
        """Those of its nodes."""
        return [prompt for node in self.workflow.nodes.values() for prompt in node.prompts]

    @property
    def has_budget_in_usd(self) -> bool:
        """Whether it, or one inside it, has."""
        inner = self.workflow
        return (
            super().has_budget_in_usd
            or inner.budget.usd is not None
            or any(node.has_budget_in_usd for node in inner.nodes.values())
        )

    @property
    def guardrails(self) -> Iterable[Guardrail]:
        """Its own; those of its nodes look at steps of theirs."""
        return (*self.guard_input, *self.guard_output)

    @property
    def model_calls(self) -> Sequence[CallBound]:
        """The most that its nodes ask of models."""
        return [call.inside(self.workflow.name) for call in model_calls(self.workflow)]

    def origins(self, held: Mapping[str, Origins]) -> Mapping[str, Origins]:
        """What it returns has the origins that its own nodes give it."""
        inside = origins_of_fields(self.workflow, self.origins_inside(held))
        return {to: inside[field] for field, to in self.into.items() if field in inside}

    def origins_inside(self, held: Mapping[str, Origins]) -> Mapping[str, Origins]:
        """Its input comes from where the fields that hold it come from."""
        constants: Origins = frozenset({TextOrigin.SYSTEM})
        given = {field: held.get(source, constants) for field, source in self.input.items()}
        return {**dict.fromkeys(self.constants, constants), **given}

    def faults(self, state: type[State]) -> list[str]:
        """Check that its input is given, that what it returns exists, and that both fit."""
        inner, outer, name = fields_of(self.workflow.state), fields_of(state), self.workflow.name
        given = {*self.input, *self.constants}
        faults = [
            f"the workflow {name!r} has no field {field!r}; its fields are {', '.join(inner)}"
            for field in sorted({*given, *self.into} - inner.keys())
        ]
        faults += [
            f"the workflow {name!r} needs the field {field!r}: add it to input or constants"
            for field, info in inner.items()
            if info.required and field not in given
        ]
        returned = self.workflow.output or tuple(inner)
        faults += [
            f"the workflow {name!r} does not return {field!r}: add it to its output"
            for field in self.into
            if field in inner and field not in returned
        ]
        faults += [
            f"{field!r} of {name!r} holds {show(inner[field].annotation)}, and {source!r} holds "
            f"{show(outer[source].annotation)}"
            for field, source in self.input.items()
            if field in inner and source in outer and not can_hold(inner[field].annotation, outer[source].annotation)
        ]
        return faults

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Run it."""
        given = {**self.constants, **{field: inputs[source] for field, source in self.input.items()}}
        returned = await ctx.walk(self.workflow, given)
        return {to: returned[field] for field, to in self.into.items()}

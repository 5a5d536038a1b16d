"""ForEach: a node for each item of a list, several at once, each a step of its own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, create_model

from engine.definition.bounds import judge_calls
from engine.definition.call_bound import CallBound
from engine.definition.fits import show
from engine.definition.guardrail import Guardrail
from engine.definition.node import AnyNode, Node, StepContext, Update
from engine.definition.prompt import Prompt
from engine.definition.state import State, fields_of
from engine.definition.text_origin import Origins, TextOrigin
from engine.errors import GuardrailBlocked, NodeFailed, RunError
from engine.nodes.side_by_side import side_by_side

EACH = "each"
"""How the steps of the items are called, behind the name of their node."""


class ForEach(Node):
    """Run a node for each item of a list; the results stand in the order of the items, however long each took.

    The inner node reads fields of the state, and the item under the name that `item` gives. It writes one field, whose
    values are gathered in `into`; an empty list gives an empty list. A `Subflow` makes a map over a workflow.
    """

    may_be_cached: ClassVar[bool] = False

    over: str
    """The field with the list."""
    item: str
    """What the inner node calls an item."""
    node: AnyNode
    """The node that is run for each item."""
    into: str
    """The field for the list of results."""
    at_once: int = Field(default=8, ge=1)
    """How many items are in progress at the same time."""
    max_items: int = Field(default=100, ge=1)
    """The most items; a longer list is an error, since a model may have made it."""
    on_error: Literal["fail", "skip", "collect"] = "fail"
    """What a failed item does: end the step, be left out, or leave a null in its place."""
    errors_into: str | None = None
    """A field for what went wrong, a list of `{item, error, message}`."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The list, and what the inner node reads besides the item."""
        return tuple(dict.fromkeys([self.over, *(name for name in self.node.reads if name != self.item)]))

    @property
    def writes(self) -> Mapping[str, Any]:
        """The results, and what went wrong where asked for."""
        kinds = list(self.node.writes.values())
        kind: Any = kinds[0] if len(kinds) == 1 else Any
        results: Any = list[kind | None] if self.on_error == "collect" and kind is not Any else list[kind]
        return {self.into: results, **({self.errors_into: list[dict[str, Any]]} if self.errors_into else {})}

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the inner node."""
        return self.node.roles

    @property
    def has_budget_in_usd(self) -> bool:
        """Whether the inner node has."""
        return super().has_budget_in_usd or self.node.has_budget_in_usd

    @property
    def prompts(self) -> Sequence[Prompt]:
        """Those of the inner node."""
        return self.node.prompts

    @property
    def hears_history(self) -> bool:
        """Whether the inner node does."""
        return self.node.hears_history

    @property
    def model_calls(self) -> Sequence[CallBound]:
        """What the inner node and its judges are asked, for the most items."""
        calls = [call.inside(EACH, 1 + self.node.reasks) for call in self.node.model_calls]
        judged = [call.inside(EACH) for call in judge_calls(self.node)]
        return [replace(call, calls=call.calls * self.max_items) for call in (*calls, *judged)]

    @property
    def guardrails(self) -> Iterable[Guardrail]:
        """Its own; those of the inner node look at the steps of the items."""
        return (*self.guard_input, *self.guard_output)

    def origins(self, held: Mapping[str, Origins]) -> Mapping[str, Origins]:
        """The results come from where the inner node's do, and so does what went wrong."""
        inner = self.node.origins({**held, **self.origins_inside(held)})
        return dict.fromkeys(self.writes, frozenset[TextOrigin]().union(*inner.values()))

    def origins_inside(self, held: Mapping[str, Origins]) -> Mapping[str, Origins]:
        """An item comes from where the list comes from."""
        return {self.item: held[self.over]} if self.over in held else {}

    def faults(self, state: type[State]) -> list[str]:
        """Check the list, the inner node and what it writes."""
        known, faults = fields_of(state), list[str]()
        listed = known.get(self.over)
        if listed is not None and not _is_list(listed.annotation):
            faults.append(f"it goes over {self.over!r}, which holds {show(listed.annotation)} and not a list")
        if self.item in known:
            faults.append(f"item {self.item!r} is a field of {state.__name__}: give the item another name")
        if len(self.node.writes) != 1:
            faults.append(f"its node must write one field, and writes {', '.join(self.node.writes) or 'none'}")
        if self.node.fallback or self.node.max_visits:
            faults.append("its node cannot have a fallback or max_visits: set on_error, or put a Subflow there")
        if self.errors_into and self.on_error == "fail":
            faults.append("errors_into needs on_error='skip' or 'collect'")
        if not faults:
            faults += [f"its node: {fault}" for fault in self.node.faults(self._state_of_items(state))]
        return faults

    def _state_of_items(self, state: type[State]) -> type[State]:
        """Give the state as the inner node sees it, with the item among its fields."""
        known = fields_of(state)
        held = get_args(known[self.over].annotation) if self.over in known else ()
        fields: dict[str, Any] = {self.item: (held[0] if len(held) == 1 else Any, None)}
        return create_model(f"{state.__name__} with {self.item}", __base__=state, **fields)

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Run the inner node for each item."""
        items: list[Any] = list(inputs[self.over] or ())
        if len(items) > self.max_items:
            raise NodeFailed(f"{self.over!r} has {len(items)} items, and max_items allows {self.max_items}")
        (written,) = self.node.writes
        errors: dict[int, dict[str, Any]] = {}

        async def one(number: int, item: Any) -> Any:
            try:
                update = await ctx.visit(EACH, self.node, {**inputs, self.item: item}, item=number)
            except RunError as error:
                if self.on_error == "fail" or not (error.recoverable or isinstance(error, GuardrailBlocked)):
                    raise
                errors[number] = {"item": number, "error": type(error).__name__, "message": str(error)}
                return None
            return update[written]

        results = await side_by_side(one, items, at_once=self.at_once)
        if self.on_error == "skip":
            results = [result for number, result in enumerate(results) if number not in errors]
        said = {self.errors_into: [errors[number] for number in sorted(errors)]} if self.errors_into else {}
        return {self.into: results, **said}


def _is_list(annotation: Any) -> bool:
    return (
        annotation is Any or show(annotation).startswith(("list", "Sequence", "tuple")) or Any in get_args(annotation)
    )

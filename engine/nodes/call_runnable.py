"""CallRunnable: a compiled LangGraph graph, or any LangChain Runnable, as a node."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Literal, get_type_hints

from langchain_core.runnables import Runnable
from pydantic import Field

from engine.definition.by_path import Code
from engine.definition.guardrail import Stage
from engine.definition.node import Effect, Node, StepContext, Update
from engine.definition.state import State
from engine.errors import UpdateInvalid
from engine.usage import Price


class CallRunnable(Node):
    """Call a runnable as a whole and write its answer; the models that it asks are on the run's account.

    It is one step and one call: where a crash cuts it off, its `effect` says what follows, as for a tool.
    """

    may_be_cached: ClassVar[bool] = False

    input_stage: ClassVar[Stage] = Stage.TOOL_ARGUMENTS
    output_stage: ClassVar[Stage] = Stage.TOOL_OUTPUT

    runnable: Code
    """The import path of the runnable, `package.module:name`."""
    input: str | Mapping[str, str]
    """The field that is its input, or its keys, each with the field that holds the value."""
    constants: Mapping[str, Any] = Field(default_factory=dict)
    """Keys of its input that always have the same value, JSON."""
    into: str | Mapping[str, str]
    """The field for its answer, or keys of the answer, each with the field that the value goes to."""
    effect: Effect = "once"
    """What the whole does to the world: `read`, `idempotent` or `once`."""
    max_tokens: int = Field(default=4096, ge=1)
    """The most tokens of one answer of a model inside that does not say so itself; reserved before it is asked."""
    prices: Mapping[str, Price] = Field(default_factory=dict)
    """Prices of the models inside, by name, where the catalogue does not know them."""
    call_seconds: float = Field(default=600.0, gt=0)
    """The longest that one attempt of the whole may take."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields that hold the input."""
        return (self.input,) if isinstance(self.input, str) else tuple(dict.fromkeys(self.input.values()))

    @property
    def writes(self) -> Mapping[str, Any]:
        """The answer, or the chosen keys of it."""
        return dict.fromkeys([self.into] if isinstance(self.into, str) else self.into.values(), Any)

    @property
    def calls_per_visit(self) -> int:
        """The one call of the whole; how often it asks models, only the runnable knows."""
        return 1

    def faults(self, state: type[State]) -> list[str]:
        """Check that it is a runnable, and that its keys are those of its input and answer."""
        del state
        code = self.runnable.load()
        if not isinstance(code, Runnable):
            kind = type(code).__name__
            return [
                f"{str(self.runnable)!r} is a {kind} and not a Runnable: compile the graph, or call a function by "
                "Compute or CallTool"
            ]
        faults: list[str] = []
        if not isinstance(self.input, str):
            faults += _unknown("input", [*self.input, *self.constants], _keys(code, "input"))
        elif self.constants:
            faults.append("constants need keys: give input as {'key': 'field'}")
        if not isinstance(self.into, str):
            faults += _unknown("answer", self.into, _keys(code, "output"))
        if self.cache is not None and self.effect == "once":
            faults.append("a runnable with effect 'once' cannot have a cache: what it does would be left out")
        return faults

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Call it."""
        if isinstance(self.input, str):
            value = inputs[self.input]
        else:
            value = {**self.constants, **{key: inputs[field] for key, field in self.input.items()}}
        answer = await ctx.call_runnable(
            self.runnable, value, effect=self.effect, max_tokens=self.max_tokens, prices=self.prices
        )
        if isinstance(self.into, str):
            return {self.into: answer}
        missing = [key for key in self.into if not isinstance(answer, Mapping) or key not in answer]
        if missing:
            raise UpdateInvalid(f"the answer of {str(self.runnable)!r} has no {', '.join(map(repr, missing))}")
        return {field: answer[key] for key, field in self.into.items()}


def _keys(runnable: Any, side: Literal["input", "output"]) -> list[str]:
    """Give the keys that a graph's schema or a runnable's JSON Schema declares; none where neither says."""
    schema = getattr(getattr(runnable, "builder", None), f"{side}_schema", None)
    with suppress(Exception):  # a type that JSON Schema cannot say is no fault
        if schema is not None:
            return list(get_type_hints(schema))
        return list(getattr(runnable, f"get_{side}_jsonschema")().get("properties", ()))
    return []


def _unknown(what: str, given: Iterable[str], known: list[str]) -> list[str]:
    names = ", ".join(known)
    return [f"the runnable's {what} has no {key!r}; it has {names}" for key in given if known and key not in known]

"""Ask: a person gives a value; the run waits for it, for days if need be, and no process waits with it."""

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jsonschema_rs
from pydantic import BaseModel, Field

from engine.definition.by_path import Code, Many
from engine.definition.node import Node, StepContext, Update
from engine.definition.question import Question
from engine.definition.state import State
from engine.definition.text_origin import Origins, TextOrigin
from engine.errors import NodeFailed


class Ask(Node):
    """Ask a person for a text, one of some choices, or an object of a declared shape, and write it.

    An answer that does not fit is refused when it is given, so the run never sees it.
    """

    may_be_cached: ClassVar[bool] = False

    text: str
    """What is asked."""
    shows: Many[str] = ()
    """The fields that the person sees."""
    into: str
    """The field for the answer."""
    choices: Many[str] = ()
    """The answers that there are; any text if none is given."""
    answer: Code | None = None
    """A pydantic model: the answer must be an object of this shape."""
    wait_seconds: float | None = Field(default=None, gt=0)
    """How long the run waits for an answer; None for ever."""
    default: Any = None
    """The answer once that time is over, JSON; without one the step fails."""

    @property
    def reads(self) -> tuple[str, ...]:
        """What is shown."""
        return tuple(self.shows)

    @property
    def writes(self) -> Mapping[str, Any]:
        """The answer."""
        kind: Any = Literal[tuple(self.choices)] if self.choices else str
        return {self.into: self._model() or kind}

    @property
    def schema_of_answer(self) -> Mapping[str, Any]:
        """The JSON Schema that an answer fits."""
        if (model := self._model()) is not None:
            return model.model_json_schema()
        return {"type": "string", **({"enum": list(self.choices)} if self.choices else {})}

    def faults(self, state: type[State]) -> list[str]:
        """Check what an answer may be, and that the default is one."""
        del state
        faults: list[str] = []
        if self.answer is not None and self._model() is None:
            faults.append(f"its answer {self.answer} is not a pydantic model")
        elif self.answer is not None and self.choices:
            faults.append("it has choices and an answer model: leave one of them out")
        elif self.default is not None and not jsonschema_rs.is_valid(dict(self.schema_of_answer), self.default):
            faults.append(f"its default {self.default!r} is not an answer that it takes")
        if self.default is not None and self.wait_seconds is None:
            faults.append("a default needs wait_seconds: after how long it stands for an answer")
        return faults

    def origins(self, held: Mapping[str, Origins]) -> Mapping[str, Origins]:
        """What a person says is theirs, whatever they were shown."""
        del held
        return dict.fromkeys(self.writes, frozenset({TextOrigin.USER}))

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Ask, and wait."""
        decision = await ctx.ask(
            Question(
                kind="ask",
                text=self.text,
                shown=dict(inputs),
                answer_schema=self.schema_of_answer,
                seconds=self.wait_seconds,
                default=self.default,
            )
        )
        if not decision.agreed:
            raise NodeFailed(f"nobody gave an answer at {ctx.node!r}: {decision.reason or 'it was refused'}")
        return {self.into: decision.answer}

    def _model(self) -> type[BaseModel] | None:
        model = None if self.answer is None else self.answer.load()
        return model if inspect.isclass(model) and issubclass(model, BaseModel) else None

"""Approve: a person says whether the run may go on; it waits for days if need be, and no process waits with it."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.definition.by_path import Many
from engine.definition.node import Node, StepContext, Update
from engine.definition.question import Question
from engine.definition.text_origin import Origins, TextOrigin


class Approve(Node):
    """Ask a person whether the run may go on, and write what they said; a Branch reads it.

    The answer is bound to the values that are shown: if they have changed when the run goes on, it asks again.
    """

    may_be_cached: ClassVar[bool] = False

    text: str
    """What is asked."""
    shows: Many[str]
    """The fields that the person sees."""
    into: str
    """The field for the decision."""
    approved: str | bool = True
    """What is written when they agree."""
    refused: str | bool = False
    """What is written when they do not, or nobody answers in time."""
    reason_into: str | None = None
    """A field for what they say to it."""
    wait_seconds: float | None = Field(default=None, gt=0)
    """How long the run waits; after that it counts as refused. None for ever."""

    @property
    def reads(self) -> tuple[str, ...]:
        """What is shown."""
        return tuple(self.shows)

    @property
    def writes(self) -> Mapping[str, Any]:
        """The decision, and the reason where asked for."""
        decision: Any = Literal[self.approved, self.refused]
        return {self.into: decision, **({self.reason_into: str} if self.reason_into else {})}

    def origins(self, held: Mapping[str, Origins]) -> Mapping[str, Origins]:
        """What a person says is theirs, whatever they were shown."""
        del held
        return dict.fromkeys(self.writes, frozenset({TextOrigin.USER}))

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Ask, and wait."""
        question = Question(kind="approve", text=self.text, shown=dict(inputs), seconds=self.wait_seconds)
        decision = await ctx.ask(question)
        said = {self.reason_into: decision.reason or ""} if self.reason_into else {}
        return {self.into: self.approved if decision.agreed else self.refused, **said}

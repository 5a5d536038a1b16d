"""A runnable as a target: a compiled LangGraph graph or any LangChain Runnable, called as a whole once an attempt."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.runnables import Runnable

from engine.definition.node import Effect
from engine.definition.tool import IDEMPOTENCY_KEY
from engine.errors import BrokeOff, CallError, EngineError, ToolFailed
from engine.records import CallRecord
from engine.runtime.answer import Answer
from engine.runtime.apart import apart
from engine.runtime.classify import tool_error
from engine.runtime.run import Call
from engine.runtime.targets.inside import ModelsInside
from engine.runtime.targets.tool import answer_of
from engine.runtime.targets.unbilled import Unbilled
from engine.usage import Price

_INTERRUPT = "__interrupt__"  # where LangGraph puts what an interrupted graph waits for


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnableTarget(Unbilled):
    """A runnable that a step calls; the payload of the call is its input.

    Attributes:
        max_tokens: the longest answer of a model inside that does not say so itself.
        prices: prices of models inside by name, which win over the catalogue's.
    """

    runnable: "Runnable[Any, Any]"
    path: str
    effect: Effect
    max_tokens: int
    prices: Mapping[str, Price]

    @property
    def name(self) -> str:
        """The runnable, for breakers and messages."""
        return f"the runnable {self.path!r}"

    def describe(self, call: Call, record: CallRecord) -> None:
        """Say which runnable, what it does to the world, and under which key."""
        record.tool_name, record.tool_effect = self.path, self.effect
        record.idempotency_key = call.details[IDEMPOTENCY_KEY]

    async def send(self, call: Call) -> Answer:
        """Call the runnable, with the models in it on the run's account."""
        models = ModelsInside(call, self.path, self.max_tokens, self.prices)
        thread = call.record.call_id if call.record else ""
        try:
            with apart():
                config: Any = {"callbacks": [models], "configurable": {"thread_id": thread}}
                answer = await self.runnable.ainvoke(call.payload, config)
            self._refuse_interrupt(answer)
        except (Exception, *call.run.control_flow) as error:
            raise self._failure(error, call) from error
        finally:
            await asyncio.shield(models.close())
        return answer_of(answer, self.name)

    def restore(self, call: Call, response: Any) -> Answer:
        """Give the answer again."""
        del call
        return Answer(value=response, response=response)

    def _refuse_interrupt(self, answer: Any) -> None:
        if isinstance(answer, Mapping) and _INTERRUPT in cast("Mapping[Any, Any]", answer):
            raise ToolFailed(self._waits())

    def _waits(self) -> str:
        return (
            f"{self.name} stops with interrupt(), which nobody could answer there: leave the interrupt out, and put an "
            "Approve or Ask before or after this node"
        )

    def _failure(self, error: BaseException, call: Call) -> EngineError:
        """Say what went wrong; what may act once, and stopped halfway, may have acted."""
        if isinstance(error, call.run.control_flow) or not isinstance(error, Exception):
            error = ToolFailed(self._waits())
        failure = tool_error(error, self.name)
        if self.effect == "once" and isinstance(failure, CallError):
            return BrokeOff(str(failure))
        return failure

"""Approve: where a call needs it, a person says yes to the exact action before it is made."""

from engine.definition.question import Question
from engine.runtime.answer import Answer
from engine.runtime.asking import demand
from engine.runtime.run import Call, CallNext


async def approve(call: Call, call_next: CallNext) -> Answer:
    """Make the call if nobody need be asked, or somebody has said yes to it.

    Raises:
        Refused: they said no.
    """
    text = call.details.get("approval")
    if text is not None:
        seconds = call.details.get("wait_seconds")
        question = Question(kind="approve", text=text, shown=call.request, seconds=seconds)
        await demand(call.step, question, f"{call.target.name} may not be called at {call.step.name!r}")
    return await call_next(call)

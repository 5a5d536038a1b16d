"""Time-out: one attempt of one call ends in time, however slowly its answer trickles in."""

from engine.errors import CallTimeout
from engine.runtime.answer import Answer
from engine.runtime.in_time import in_time
from engine.runtime.run import Call, CallNext


async def time_out(call: Call, call_next: CallNext) -> Answer:
    """End the attempt when its time is over."""
    seconds = call.step.node.call_seconds
    return await in_time(
        call_next(call),
        seconds,
        lambda: CallTimeout(f"{call.target.name} did not answer within {seconds:g} seconds"),
    )

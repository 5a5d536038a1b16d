"""Time-out: one attempt of one call ends in time, however slowly its answer trickles in."""

import asyncio

from engine.errors import CallTimeout
from engine.runtime.run import Answer, Call, CallNext


async def time_out(call: Call, call_next: CallNext) -> Answer:
    """End the attempt when its time is over."""
    seconds = call.step.node.call_seconds
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await call_next(call)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise CallTimeout(f"{call.target.name} did not answer within {seconds:g} seconds") from error

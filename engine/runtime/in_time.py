"""Work within a time: what runs out of it ends with an error that says whose time it was."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from engine.errors import EngineError

Result = TypeVar("Result")


async def in_time(work: Awaitable[Result], seconds: float | None, late: Callable[[], EngineError]) -> Result:
    """Wait for some work for so many seconds, for ever if none are given; a time-out of its own passes through.

    Raises:
        EngineError: the time is over; what `late` gives.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await work
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise late() from error

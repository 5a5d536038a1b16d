"""Ends what listens: until it has ended, since a driver may lose a cancellation that comes with a message."""

import asyncio
from collections.abc import Collection
from typing import Any

_PATIENCE_SECONDS = 0.1


async def stop(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks, again where they go on regardless, and wait until they have ended, whichever way."""
    pending = set(tasks)
    while pending:
        for one in pending:
            one.cancel()
        _, pending = await asyncio.wait(pending, timeout=_PATIENCE_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)

"""Hints on their way out: whoever sends one does not wait, and what cannot be sent is dropped."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from engine.ports import Hint

_MOST = 10_000  # hints that wait; of more, workers are awake anyway
_ATTEMPTS = 2  # the first may find a connection that was lost meanwhile
_PAUSE_SECONDS = 1.0  # for which nothing is sent after a failure
_FLUSH_SECONDS = 2.0

Deliver = Callable[[Sequence[Hint]], Awaitable[None]]


class Outgoing:
    """Delivers hints in the background, all that have come meanwhile at once.

    Args:
        deliver: sends hints, over a new connection after it has failed.
    """

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._waiting: deque[Hint] = deque(maxlen=_MOST)
        self._loop: asyncio.AbstractEventLoop | None = None  # its connections belong to it
        self._sending: asyncio.Task[None] | None = None
        self._silent_until = 0.0

    def put(self, hints: Sequence[Hint]) -> None:
        """Send hints soon; returns at once, from whichever loop."""
        loop = asyncio.get_running_loop()
        if self._loop is None or self._loop.is_closed():
            self._loop, self._sending = loop, None
        self._waiting.extend(hints)
        if self._loop is loop:
            self._begin()
        else:
            self._loop.call_soon_threadsafe(self._begin)

    async def close(self) -> None:
        """Send what waits, unless that takes long."""
        if self._sending is not None and self._loop is asyncio.get_running_loop():
            await asyncio.wait([self._sending], timeout=_FLUSH_SECONDS)
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        self._loop = self._sending = None

    def _begin(self) -> None:
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            hints = list(self._waiting)
            self._waiting.clear()
            if loop.time() < self._silent_until:
                continue
            for _ in range(_ATTEMPTS):
                with suppress(Exception):  # whatever it is, the runs are in the ledger, and workers look there
                    await self._deliver(hints)
                    break
            else:
                self._silent_until = loop.time() + _PAUSE_SECONDS

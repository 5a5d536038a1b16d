"""Hints inside one process: what is queued here wakes the worker that is here."""

import asyncio
from collections.abc import Sequence

from engine.ports import Ear, Hint


class InProcess:
    """Tells the workers of this process; those of other processes find runs by looking."""

    def __init__(self) -> None:
        self._listening: dict[Ear, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}

    def send(self, hints: Sequence[Hint]) -> None:
        """Say that runs may be taken; returns at once, from whichever thread."""
        for ear, (loop, said) in list(self._listening.items()):
            if any(ear.takes(hint) for hint in hints):
                loop.call_soon_threadsafe(said.set)

    async def listen(self, ear: Ear) -> None:
        """Have a worker look whenever a run that it takes is spoken of, until cancelled."""
        said = asyncio.Event()
        self._listening[ear] = asyncio.get_running_loop(), said
        try:
            while True:
                await said.wait()
                said.clear()
                await ear.look()
        finally:
            del self._listening[ear]

    async def close(self) -> None:
        """Close nothing."""

"""The ear of a worker: whoever hears of a run has it look at once, and hears when it has looked."""

import asyncio
from collections.abc import Callable, Collection

from engine.ports import Hint


class Hearing:
    """Stands between a dispatcher and a worker, which says after each look how much room it has.

    Args:
        queues: the queues that the worker takes from.
        versions: gives the versions of workflows that it takes.
        wake: ends its rest.

    Attributes:
        peers: how many workers there are, as was last known.
        hears: whether its dispatcher is heard; if not, it finds runs by looking alone.
    """

    def __init__(self, queues: Collection[str], versions: Callable[[], Collection[str]], wake: asyncio.Event) -> None:
        self.queues = queues
        self._versions = versions
        self._wake = wake
        self.peers = 1
        self.hears = False
        self._free = 0
        self._is_told = False
        self._look = asyncio.Event()  # the next one; each has an event of its own

    def looked(self, free: int) -> bool:
        """Say that the worker has looked and has room for so many; give whether anybody had told it to look."""
        look, self._look = self._look, asyncio.Event()
        was_told, self._free, self._is_told = self._is_told, free, False
        look.set()
        return was_told

    def takes(self, hint: Hint) -> bool:
        """Say whether a run is one that the worker may take."""
        return hint.queue in self.queues and hint.version in self._versions()

    async def room(self) -> int:
        """Wait until the worker has room for a run, and say for how many."""
        while not self._free:
            await self._look.wait()
        return self._free

    async def look(self) -> bool:
        """Have the worker look for runs now, and say, when it has, whether it had room for any."""
        if not self._free:
            return False
        self._is_told = True
        self._wake.set()
        await self._look.wait()
        return True

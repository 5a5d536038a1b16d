"""When one of many looks for the same run: a few at once, the others one after another; and who keeps watch."""

import asyncio
from collections.abc import Callable

_AT_ONCE = 4  # who look at once for a run
_APART_SECONDS = 0.005  # between the looks of the others, who find something only if those had no room

_ON_WATCH = 16  # who look out for what nobody tells of, at a time
_LONGEST_OFF_SECONDS = 15.0  # or one who alone takes a workflow would be off for minutes, of a thousand


def watching(peers: int) -> int:
    """Say how many of so many keep watch at a time."""
    return min(peers, _ON_WATCH)


def off_watch(peers: int, watch: float, chance: Callable[[], float]) -> float:
    """Say for how many seconds one of so many leaves a watch of some seconds to the others; 0 if all are needed."""
    return chance() * min(2 * watch * (peers / watching(peers) - 1), _LONGEST_OFF_SECONDS)


def delay(runs: int, peers: int, chance: Callable[[], float]) -> float:
    """Say in how many seconds one of so many looks for so many runs."""
    return 0.0 if chance() * peers <= _AT_ONCE * runs else chance() * peers * _APART_SECONDS


class Crowd:
    """The alarm of one of them: it goes off once, however often it was told meanwhile."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._alarm = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def told(self, runs: int, peers: int) -> None:
        """Go off when it is its turn to look for so many runs, of which so many workers were told."""
        loop = asyncio.get_running_loop()
        when = loop.time() + delay(runs, peers, self._chance)
        if self._timer is None or when < self._timer.when():
            self.rest()
            self._timer = loop.call_at(when, self._go_off)

    async def wait(self) -> None:
        """Wait until it goes off."""
        await self._alarm.wait()
        self._alarm.clear()

    def rest(self) -> None:
        """Do not go off."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _go_off(self) -> None:
        self._timer = None
        self._alarm.set()

"""What the replays of a batch are granted: together never more than the batch may cost."""

import asyncio
from collections.abc import Mapping


class Grants:
    """Grants each run a part, and takes back what it did not spend; one event loop owns it.

    Args:
        nano_usd: what may be spent by all of them.
        spent: what runs have spent of it before, by their id.
    """

    def __init__(self, nano_usd: int, spent: Mapping[str, int]) -> None:
        self._spent = dict(spent)
        self._granted: dict[str, int] = {}
        self._left = nano_usd - sum(self._spent.values())
        self._changed = asyncio.Condition()

    async def take(self, run_id: str, wanted: int | None) -> int | None:
        """Grant a run what it wants, what it had spent before included; None if nothing is left.

        Where less is left, that is granted once no other run holds a part. To want None is to want all that is left.
        """
        async with self._changed:
            before = self._spent.get(run_id, 0)
            while True:
                more = self._left if wanted is None else max(wanted - before, 0)
                if (more <= self._left and self._left > 0) or not self._granted:
                    break
                await self._changed.wait()
            more = min(more, self._left)
            if more <= 0:
                return None
            self._granted[run_id] = more
            self._left -= more
            return before + more

    async def put_back(self, run_id: str, spent: int | None) -> None:
        """Say what a run has spent in all; None if nobody knows, so that all it was granted counts as spent."""
        async with self._changed:
            granted, before = self._granted.pop(run_id, 0), self._spent.get(run_id, 0)
            self._spent[run_id] = before + granted if spent is None else spent
            self._left += before + granted - self._spent[run_id]
            self._changed.notify_all()

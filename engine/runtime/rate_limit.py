"""What a provider allows in a minute, as a value, and the bucket that spreads it evenly over the minute."""

import math
from dataclasses import dataclass, field

from pydantic import Field

from engine.definition.by_path import Frozen

_BURST = 0.05  # the part of a minute's limit that may be used at once


class RateLimit(Frozen):
    """What a provider, a model of it, or another target allows; the processes on one ledger divide it among them."""

    requests_per_minute: int | None = Field(default=None, gt=0)
    """Requests in any minute."""
    tokens_per_minute: int | None = Field(default=None, gt=0)
    """Tokens read and written in any minute."""
    concurrency: int | None = Field(default=None, gt=0)
    """Requests under way at once."""


@dataclass(slots=True)
class Bucket:
    """Fills evenly; what is let out in any minute is the limit, plus what one large request exceeds the bucket by.

    Attributes:
        per_minute: the limit; all of it, however many share it.
        sharers: among how many processes it is divided.
    """

    per_minute: int
    sharers: int = 1
    _level: float = math.inf
    _at_ns: int = field(default=0)

    @property
    def _size(self) -> float:
        return max(self.per_minute / self.sharers * _BURST, 1.0)

    @property
    def _per_second(self) -> float:
        mine = self.per_minute / self.sharers
        return max(mine - self._size, mine / 2) / 60  # with a full bucket, no more than the limit in a minute

    def wait(self, amount: float, now_ns: int, *, ahead: float = 0) -> float:
        """Say for how many seconds an amount has to wait, at the least, behind what is ahead of it.

        What is larger than the bucket waits until that is full, and leaves a debt.
        """
        missing = ahead + min(amount, self._size) - self._filled(now_ns)
        return math.ceil(missing / self._per_second * 1000) / 1000 if missing > 0 else 0.0

    def take(self, amount: float, now_ns: int) -> None:
        """Let an amount out."""
        self._level = self._filled(now_ns) - amount

    def give(self, amount: float, now_ns: int) -> None:
        """Put back what was not used; an amount below 0 is what was used beyond that."""
        self._level = min(self._filled(now_ns) + amount, self._size)

    def holds_at_most(self, remaining: float, now_ns: int) -> None:
        """Take the provider's word for how much of the limit is left to all."""
        self._level = min(self._filled(now_ns), remaining / self.sharers)

    def _filled(self, now_ns: int) -> float:
        passed = max(now_ns - self._at_ns, 0) / 1e9
        self._level = min(self._level + passed * self._per_second, self._size)
        self._at_ns = now_ns
        return self._level

"""Calls that wait for their turn: tenants take turns by tokens, and the calls of one tenant are served in order."""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.errors import NotAdmitted

_FORGOTTEN = 64  # tenants without a waiting call that are remembered until those that owe nothing are forgotten


@dataclass(slots=True, eq=False)
class Waiting:
    """A call that waits.

    Attributes:
        ends_ns: when it is too late for it, by the clock's count; None is never.
        patience: seconds for which it waits at the most until a target that asked to be left alone can be asked again.
        turn: is done when it may go on.
    """

    tenant: str
    tokens: int
    ends_ns: int | None
    patience: float
    turn: "asyncio.Future[None]"

    @property
    def has_turn(self) -> bool:
        """Whether it was told to go on."""
        return self.turn.done() and not self.turn.cancelled() and self.turn.exception() is None

    def refuse(self, error: NotAdmitted) -> None:
        """Tell it that it waits in vain."""
        self.turn.set_exception(error)


@dataclass(slots=True)
class FairQueue:
    """Serves the tenant that was given the fewest tokens; one that comes newly has been given its fair share so far.

    A tenant with a thousand calls and one with three so take turns, until the three are served; and tenants that come
    with one call each do not hold up the one with a thousand.
    """

    _waiting: dict[str, deque[Waiting]] = field(default_factory=dict[str, deque[Waiting]])
    _given: dict[str, float] = field(default_factory=dict[str, float])
    _fair: float = 0.0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter([one for calls in self._waiting.values() for one in calls])

    def push(self, one: Waiting) -> None:
        """Put a call behind those of its tenant."""
        if one.tenant not in self._waiting:
            self._waiting[one.tenant] = deque()
            self._given[one.tenant] = max(self._given.get(one.tenant, 0.0), self._fair)
        self._waiting[one.tenant].append(one)

    def head(self) -> Waiting | None:
        """Give the call whose turn is next."""
        if not self._waiting:
            return None
        return self._waiting[min(self._waiting, key=self._given.__getitem__)][0]

    def pop(self, one: Waiting) -> None:
        """Take out the call whose turn it is, and count what it was given."""
        had, tokens = self._given[one.tenant], max(one.tokens, 1)
        self._fair = max(self._fair + tokens / len(self._waiting), had)
        self._given[one.tenant] = had + tokens
        self.remove(one)
        if len(self._given) > 2 * len(self._waiting) + _FORGOTTEN:
            self._given = {name: had for name, had in self._given.items() if name in self._waiting or had > self._fair}

    def remove(self, one: Waiting) -> None:
        """Take out a call, if it is in."""
        calls = self._waiting.get(one.tenant)
        if calls is None or one not in calls:
            return
        calls.remove(one)
        if not calls:
            del self._waiting[one.tenant]
        if not self._waiting:
            self._given.clear()
            self._fair = 0.0

    def ahead(self, tenant: str) -> tuple[int, int]:
        """Say how many calls of a tenant wait, and with how many tokens."""
        calls = self._waiting.get(tenant, ())
        return len(calls), sum(one.tokens for one in calls)

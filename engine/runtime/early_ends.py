"""Which ways of a graph ended before they arrived, and what is at work in those that have not."""

import asyncio
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.definition.graph import Way

Work = asyncio.Task[Any]


@dataclass(slots=True)
class EarlyEnds:
    """Ways by their first nodes; what a step of the same superstep has ended is not in the counts yet."""

    _ended: set[str] = field(default_factory=set[str])
    _at_work: dict[str, set[Work]] = field(default_factory=lambda: defaultdict[str, set[Work]](set))

    def has_ended(self, ways: Iterable[Way]) -> bool:
        """Say whether one of these ways has ended."""
        return any(way.head in self._ended for way in ways)

    def at_work(self, heads: Iterable[str]) -> set[Work]:
        """Give the work in some ways."""
        return {work for head in heads for work in self._at_work.get(head, ())}

    def end(self, heads: Iterable[str]) -> None:
        """End some ways: what is at work there is cancelled, but for whoever says so."""
        ended = set(heads)
        self._ended |= ended
        for work in self.at_work(ended) - {asyncio.current_task()}:
            work.cancel()

    def begin_anew(self, heads: Iterable[str]) -> None:
        """Note that the ways begin once more."""
        self._ended.difference_update(heads)

    @contextmanager
    def working(self, ways: Iterable[Way], work: Work) -> Generator[None]:
        """Know of some work inside ways while it lasts."""
        for way in ways:
            self._at_work[way.head].add(work)
        try:
            yield
        finally:
            for way in ways:
                self._at_work[way.head].discard(work)

"""Lanes take turns: which have something to give now, and how much each may, by its limits and those of its queue.

What is worked on is counted while the lane is locked, and nowhere kept: a worker that dies leaves no count behind.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, bindparam, func, or_, select, update

from engine.store import tables
from engine.store.lease import clock_of, time_of

_entries, _lanes, _queues, _limits = tables.queue_entries, tables.lanes, tables.queues, tables.queue_limits

Lane = tuple[str, str]
"""Its queue and its name."""

_BURST = 4
"""Runs that a lane gives at once where there are others: a run of theirs would wait until all of these have begun."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a worker takes.

    Attributes:
        queues: from which queues.
        versions: of which versions of workflows.
        busy: the lanes of which it has runs.
        spare: how many of its free places it keeps for other lanes than those, where there are any.
    """

    queues: Collection[str]
    versions: Collection[str]
    busy: Collection[Lane] = ()
    spare: int = 0


@dataclass(slots=True)
class Room:
    """How many more runs may be worked on, by what limits besides those of lanes say: (queue, kind, name)."""

    left: dict[tuple[str, str, str], int] = field(default_factory=dict[tuple[str, str, str], int])

    @property
    def is_bounded(self) -> bool:
        """Whether any such limit was said."""
        return bool(self.left)

    def full(self, kind: str) -> Sequence[tuple[str, str]]:
        """Give what has no room left: queue and name."""
        return [(queue, name) for (queue, its, name), left in self.left.items() if its == kind and left <= 0]

    def admits(self, entry: Any) -> bool:
        """Say whether there is room for one more run, and count it if there is."""
        keys = [(entry.queue, "workflow", entry.workflow), (entry.queue, "resource", entry.resource)]
        bounded = [key for key in keys if key in self.left]
        if any(self.left[key] <= 0 for key in bounded):
            return False
        for key in bounded:
            self.left[key] -= 1
        return True


def due(dialect: str) -> ColumnElement[bool]:
    """Say of an entry that it may be taken now, by who has the `versions` that are given with the statement."""
    at = _entries.c.available_at
    undelayed = at <= _entries.c.enqueued_at  # whatever the clock of who queued it says
    is_time = or_(at <= clock_of(dialect), undelayed)
    return at.is_not(None) & _entries.c.version.in_(bindparam("versions", expanding=True)) & is_time


def not_paused(queue: ColumnElement[str]) -> ColumnElement[bool]:
    """Say of a queue that it is open."""
    return queue.not_in(select(_queues.c.queue).where(_queues.c.paused_at.is_not(None)))


def open_lanes(connection: Connection, wanted: Wanted, most: int) -> Sequence[Any]:
    """Lock lanes that have something to give, those first whose turn is longest ago, past what others have locked.

    A worker with no places but spare ones passes over lanes that are busy, unless there are no others.
    """
    query, found = _lanes_in_turn(connection.dialect.name), list[Any]()
    given = {"versions": list(wanted.versions), "queues": list(wanted.queues), "most": most}
    for queue in wanted.queues:
        busy = [lane for its, lane in wanted.busy if its == queue and most <= wanted.spare]
        given |= {"of_queue": queue, "busy": busy}
        found += connection.execute(query, given).all()
    return sorted(found, key=lambda lane: lane.last_claim_at)[:most]


@cache  # putting it together takes longer than asking it
def _lanes_in_turn(dialect: str) -> Select[Any]:
    here = (_entries.c.queue == _lanes.c.queue) & (_entries.c.lane == _lanes.c.lane)
    first = select(_entries.c.run_id).where(here, due(dialect)).limit(1)
    first = first.order_by(_entries.c.priority.desc(), _entries.c.available_at)  # or it may be looked for everywhere
    has_some = first.scalar_subquery().is_not(None)
    running = select(func.count()).select_from(_entries).where(here, _entries.c.taken_at.is_not(None))
    has_room = _lanes.c.max_running.is_(None) | (running.scalar_subquery() < _lanes.c.max_running)
    is_in_time = _lanes.c.next_start_at.is_(None) | (_lanes.c.next_start_at <= clock_of(dialect))
    bounded = select(_limits.c.name).where(_limits.c.queue == _lanes.c.queue).exists()
    of_queue = _lanes.c.queue == bindparam("of_queue")
    other = _lanes.alias()
    is_another = or_(other.c.queue != _lanes.c.queue, other.c.lane != _lanes.c.lane)
    has_others = select(other.c.lane).where(other.c.queue.in_(bindparam("queues", expanding=True)), is_another).exists()
    may_give = or_(_lanes.c.lane.not_in(bindparam("busy", expanding=True)), ~has_others)
    return (
        select(_lanes, bounded.label("has_limits"), has_others.label("has_others"))
        .where(of_queue, may_give, not_paused(_lanes.c.queue), has_room, is_in_time, has_some)
        .order_by(_lanes.c.last_claim_at, _lanes.c.lane)
        .limit(bindparam("most", type_=Integer()))
        .with_for_update(skip_locked=True, key_share=True)
    )


def room_of(connection: Connection, queues: Collection[str]) -> Room:
    """Lock the limits of queues that are for all their lanes, and count what each leaves."""
    limits = select(_limits).where(_limits.c.queue.in_(list(queues)))
    limits = limits.order_by(_limits.c.queue, _limits.c.kind, _limits.c.name).with_for_update()
    room = Room({(row.queue, row.kind, row.name): row.max_running for row in connection.execute(limits)})
    for queue, kind, name in room.left:
        mine = (_entries.c.queue == queue) & (_entries.c[kind] == name) & _entries.c.taken_at.is_not(None)
        room.left[queue, kind, name] -= connection.scalar(select(func.count()).where(mine)) or 0
    return room


def shares(
    connection: Connection, lanes: Sequence[Any], capacity: int, *, spare: int = 0, busy: Collection[Lane] = ()
) -> Mapping[Lane, int]:
    """Say how many runs each lane may give: as many as the others, few at once, and no more than its limits leave.

    So many spare places are only for lanes that are not busy, and these get one each.
    """
    found: dict[Lane, int] = {}
    now = time_of(connection) if any(lane.starts_per_second is not None for lane in lanes) else None
    left = capacity - spare
    for number, lane in enumerate(lanes):
        share = -(-left // (len(lanes) - number))
        share = min(share, _BURST) if lane.has_others else share
        is_spared = share <= 0 < spare and (lane.queue, lane.lane) not in busy
        share = 1 if is_spared else share
        if lane.max_running is not None:
            share = min(share, lane.max_running - _running(connection, lane.queue, lane.lane))
        if now is not None and lane.starts_per_second is not None:
            share = min(share, starts_left(lane.starts_per_second, lane.next_start_at, now))
        if share > 0:
            found[lane.queue, lane.lane] = share
            left, spare = (left, spare - 1) if is_spared else (left - share, spare)
    return found


def starts_left(per_second: float, next_start_at: datetime | None, now: datetime) -> int:
    """Say how many runs may be taken at once: what a second allows at the most, and one at the least in its turn."""
    most = max(int(per_second), 1)
    if next_start_at is None:
        return most
    waited = (now - next_start_at).total_seconds()
    return 0 if waited < 0 else min(int(waited * per_second) + 1, most)


def after_starts(per_second: float, next_start_at: datetime | None, now: datetime, taken: int) -> datetime:
    """Say when the next may be taken after so many."""
    each = timedelta(seconds=1 / per_second)
    earliest = now - each * (max(int(per_second), 1) - 1)
    return max(next_start_at or earliest, earliest) + each * taken


def count_starts(connection: Connection, lanes: Sequence[Any], taken: Mapping[Lane, int]) -> None:
    """Write down of lanes with a rate how much of it was used."""
    rated = [lane for lane in lanes if lane.starts_per_second is not None and taken.get((lane.queue, lane.lane))]
    now = time_of(connection) if rated else None
    for lane in rated:
        number = taken[lane.queue, lane.lane]
        at = after_starts(lane.starts_per_second, lane.next_start_at, now or lane.began_at, number)
        mine = (_lanes.c.queue == lane.queue) & (_lanes.c.lane == lane.lane)
        connection.execute(update(_lanes).where(mine).values(next_start_at=at))


def _running(connection: Connection, queue: str, lane: str) -> int:
    mine = (_entries.c.queue == queue) & (_entries.c.lane == lane) & _entries.c.taken_at.is_not(None)
    return connection.scalar(select(func.count()).select_from(_entries).where(mine)) or 0

"""How queues and workers stand: what waits, what is worked on, and by whom."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, func, or_, select

from engine.records import RunStatus
from engine.store.lease import is_alive, time_of
from engine.store.ledger import SqlLedger
from engine.store.tables import IS_RUNNING, lanes, queue_entries, queue_limits, queues, runs, workers


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRow:
    """A lane of a queue.

    Attributes:
        due: runs that a worker may take now.
        delayed: runs that may be taken later.
        waiting: runs that wait for a person.
        oldest_s: seconds that the first of those that are due has waited.
    """

    queue: str
    lane: str
    due: int
    delayed: int
    running: int
    waiting: int
    oldest_s: float | None
    max_running: int | None
    paused: bool
    starts_per_second: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A process that works, or did.

    Attributes:
        draining: whether somebody has asked it to take no more.
        beat_s: seconds since it was heard of last.
        runs: how many runs it has.
    """

    worker_id: str
    host: str
    process_id: int
    started_at: datetime
    alive: bool
    draining: bool
    beat_s: float
    runs: int

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON."""
        return asdict(self) | {"started_at": self.started_at.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """A limit of a queue for what runs of all its lanes have in common.

    Attributes:
        kind: `workflow` or `resource`.
        running: how many of its runs are worked on.
    """

    queue: str
    kind: str
    name: str
    max_running: int
    running: int

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON."""
        return asdict(self)


async def limits_of(ledger: SqlLedger) -> list[LimitRow]:
    """Give every limit that is for several lanes."""
    return await ledger.read(_limits)


async def lanes_of(ledger: SqlLedger) -> list[LaneRow]:
    """Give every lane that has a run or a limit, by queue and name."""
    return await ledger.read(_lanes)


async def workers_of(ledger: SqlLedger) -> list[WorkerRow]:
    """Give every worker that is known, those that were heard of last first."""
    return await ledger.read(_workers)


def _lanes(connection: Connection) -> list[LaneRow]:
    now = time_of(connection)
    at = queue_entries.c.available_at
    is_due, is_delayed = (
        or_(at <= now, at <= queue_entries.c.enqueued_at),
        and_(at > now, at > queue_entries.c.enqueued_at, runs.c.status == RunStatus.QUEUED),
    )
    due = func.sum(case((is_due, 1), else_=0))
    counts = (
        select(
            queue_entries.c.queue,
            queue_entries.c.lane,
            due.label("due"),
            func.sum(case((is_delayed, 1), else_=0)).label("delayed"),
            func.sum(case((runs.c.status == RunStatus.RUNNING, 1), else_=0)).label("running"),
            func.sum(case((runs.c.status == RunStatus.WAITING, 1), else_=0)).label("waiting"),
            func.min(case((is_due, at))).label("oldest"),
        )
        .join_from(queue_entries, runs, queue_entries.c.run_id == runs.c.run_id)
        .group_by(queue_entries.c.queue, queue_entries.c.lane)
    )
    found = {(row.queue, row.lane): row for row in connection.execute(counts)}
    limits = {(row.queue, row.lane): row for row in connection.execute(select(lanes))}
    paused = set(connection.scalars(select(queues.c.queue).where(queues.c.paused_at.is_not(None))))
    limited = {place for place, lane in limits.items() if (lane.max_running, lane.starts_per_second) != (None, None)}
    named = found.keys() | limited
    named |= {(queue, "") for queue in paused - {queue for queue, _ in named}}
    return [
        _lane(queue, lane, found.get((queue, lane)), limits.get((queue, lane)), now, paused=queue in paused)
        for queue, lane in sorted(named)
    ]


def _limits(connection: Connection) -> list[LimitRow]:
    limits, entries = queue_limits.c, queue_entries.c
    by_kind = (
        and_(limits.kind == "workflow", entries.workflow == limits.name),
        and_(limits.kind == "resource", entries.resource == limits.name),
    )
    mine = select(func.count()).where(entries.queue == limits.queue, entries.taken_at.is_not(None), or_(*by_kind))
    query = select(*limits, mine.scalar_subquery().label("running")).order_by(*queue_limits.primary_key)
    return [LimitRow(**row) for row in connection.execute(query).mappings()]


def _lane(queue: str, lane: str, row: Any, limit: Any, now: datetime, *, paused: bool) -> LaneRow:
    oldest = None if row is None or row.oldest is None else (now - row.oldest).total_seconds()
    counts = {name: 0 if row is None else int(getattr(row, name)) for name in ("due", "delayed", "running", "waiting")}
    most, rate = (None, None) if limit is None else (limit.max_running, limit.starts_per_second)
    return LaneRow(
        queue=queue, lane=lane, **counts, oldest_s=oldest, max_running=most, paused=paused, starts_per_second=rate
    )


def _workers(connection: Connection) -> list[WorkerRow]:
    now = time_of(connection)
    held = func.count(runs.c.run_id)
    mine = and_(runs.c.worker_id == workers.c.worker_id, IS_RUNNING)
    query = (
        select(*workers.c, held.label("held"))
        .join_from(workers, runs, mine, isouter=True)
        .group_by(*workers.c)
        .order_by(workers.c.beat_at.desc())
    )
    return [
        WorkerRow(
            worker_id=row.worker_id,
            host=row.host,
            process_id=row.process_id,
            started_at=row.started_at,
            alive=is_alive(connection, row.worker_id),
            draining=row.drain_requested_at is not None,
            beat_s=(now - row.beat_at).total_seconds(),
            runs=row.held,
        )
        for row in connection.execute(query).all()
    ]

"""The queue of runs on the ledger: a claim is one transaction, and what dead workers had is given away again.

The run's own row says whether it is queued, running or waiting; an entry says when it may be taken, and whose turn it
shares. Lanes take turns, and a lane locked by somebody else is passed over.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from engine.ports import Taken
from engine.records import RunRecord, RunStatus
from engine.store import tables
from engine.store.hands import begun_by, history_of, records_of
from engine.store.lease import Lease, is_alive, time_of, touch_run

MOST_DEATHS = 3
"""Processes that may die with a run before it is left alone."""

_AT_REST = (RunStatus.QUEUED, RunStatus.WAITING)
_entries, _lanes, _queues, _runs = tables.queue_entries, tables.lanes, tables.queues, tables.runs


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a worker takes.

    Attributes:
        queues: from which queues.
        versions: of which versions of workflows.
    """

    queues: Collection[str]
    versions: Collection[str]


def claim(connection: Connection, lease: Lease, wanted: Wanted, capacity: int, now: datetime) -> list[Taken]:
    """Take up to so many runs that are due, lane after lane; each has a new fence."""
    due = _due(connection, wanted)
    lanes = _open_lanes(connection, wanted, due, capacity)
    shares = _shares(connection, lanes, capacity)
    found = _first_of(connection, due, shares)
    if not found:
        return []
    taken = update(_runs).where(_runs.c.run_id.in_(found), _runs.c.status.in_(_AT_REST))
    values = begun_by(lease.worker_id, now) | {"fence": _runs.c.fence + 1}
    rows = connection.execute(taken.values(**values).returning(_runs)).all()
    records: list[RunRecord] = records_of(RunRecord, rows)
    ours = {record.run_id: record for record in records}
    begun = update(_entries).where(_entries.c.run_id.in_(found))
    begun = begun.values(available_at=None, attempts=_entries.c.attempts + 1).returning(
        _entries.c.run_id, _entries.c.attempts
    )
    attempts = {row.run_id: row.attempts for row in connection.execute(begun)}
    turned = [(queue, lane) for queue, lane in shares if shares[queue, lane]]
    for queue, lane in turned:
        mine = (_lanes.c.queue == queue) & (_lanes.c.lane == lane)
        connection.execute(update(_lanes).where(mine).values(last_claim_at=time_of(connection)))
    lease.take(connection, {record.run_id: record.fence for record in records})
    return [
        Taken(ours[run_id], is_queued=True)
        if attempts[run_id] == 1
        else history_of(connection, ours[run_id], is_queued=True)
        for run_id in found
        if run_id in ours
    ]


def reap(connection: Connection) -> list[str]:
    """Queue the runs of dead workers again; one that several processes died with is dead."""
    at_work = (_entries.c.run_id == _runs.c.run_id) & (_runs.c.status == RunStatus.RUNNING)
    owners = connection.scalars(select(_runs.c.worker_id).join(_entries, at_work).distinct()).all()
    dead = [worker for worker in owners if not is_alive(connection, worker)]
    if not dead:
        return []
    theirs = _runs.c.worker_id.is_(None) | _runs.c.worker_id.in_([worker for worker in dead if worker])
    query = select(_runs.c.run_id, _runs.c.fence, _entries.c.deaths).join(_entries, at_work).where(theirs)
    lost, now = connection.execute(query.with_for_update(skip_locked=True)).all(), time_of(connection)
    for row in lost:
        entry = _entries.c.run_id == row.run_id
        if row.deaths + 1 < MOST_DEATHS:
            touch_run(connection, row.run_id, status=RunStatus.QUEUED, fence=row.fence + 1, worker_id=None)
            connection.execute(update(_entries).where(entry).values(available_at=now, deaths=row.deaths + 1))
            continue
        said = f"{MOST_DEATHS} processes died while they had it: look into it, then `flowledger requeue {row.run_id}`"
        ended = {"status": RunStatus.DEAD, "fence": row.fence + 1, "worker_id": None, "ended_at": now}
        touch_run(connection, row.run_id, **ended, error_type="ProcessesDied", error_message=said)
        connection.execute(delete(_entries).where(entry))
    return [row.run_id for row in lost]


def due_count(connection: Connection, wanted: Wanted) -> int:
    """Count the runs that may be taken now."""
    return connection.scalar(select(func.count()).select_from(_entries).where(_due(connection, wanted))) or 0


def forget_lanes(connection: Connection, before: datetime) -> None:
    """Delete lanes without a limit that had no run for a while."""
    used = select(_entries.c.run_id).where(_entries.c.queue == _lanes.c.queue, _entries.c.lane == _lanes.c.lane)
    old = (_lanes.c.last_enqueued_at < before) & _lanes.c.max_running.is_(None)
    connection.execute(delete(_lanes).where(old, ~used.exists()))


def _due(connection: Connection, wanted: Wanted) -> ColumnElement[bool]:
    paused = select(_queues.c.queue).where(_queues.c.paused_at.is_not(None))
    here = _entries.c.queue.in_(list(wanted.queues)) & _entries.c.queue.not_in(paused)
    versions = _entries.c.version.in_(list(wanted.versions))
    is_time = _entries.c.available_at <= time_of(connection)
    undelayed = _entries.c.available_at <= _entries.c.enqueued_at  # whatever the clock of who queued it says
    return here & versions & (is_time | undelayed)


def _open_lanes(connection: Connection, wanted: Wanted, due: ColumnElement[bool], most: int) -> Sequence[Any]:
    """Give lanes that have something due, those first whose turn is longest ago."""
    here = (_entries.c.queue == _lanes.c.queue) & (_entries.c.lane == _lanes.c.lane)
    query = (
        select(_lanes.c.queue, _lanes.c.lane, _lanes.c.max_running)
        .where(_lanes.c.queue.in_(list(wanted.queues)))
        .where(select(_entries.c.run_id).where(here, due).exists())
        .order_by(_lanes.c.last_claim_at.asc().nulls_first(), _lanes.c.lane)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(query).all()


def _shares(connection: Connection, lanes: Sequence[Any], capacity: int) -> Mapping[tuple[str, str], int]:
    """Say how many runs each lane may give: as many as the others, and no more than its limit leaves."""
    shares: dict[tuple[str, str], int] = {}
    left = capacity
    for number, lane in enumerate(lanes):
        share = -(-left // (len(lanes) - number))
        if lane.max_running is not None:
            share = min(share, max(lane.max_running - _running(connection, lane.queue, lane.lane), 0))
        shares[lane.queue, lane.lane] = share
        left -= share
    return shares


def _running(connection: Connection, queue: str, lane: str) -> int:
    query = (
        select(func.count())
        .select_from(_entries)
        .join(_runs, _entries.c.run_id == _runs.c.run_id)
        .where(_entries.c.queue == queue, _entries.c.lane == lane, _runs.c.status == RunStatus.RUNNING)
    )
    return connection.scalar(query) or 0


def _first_of(connection: Connection, due: ColumnElement[bool], shares: Mapping[tuple[str, str], int]) -> Sequence[str]:
    """Give the first runs of each lane."""
    found: list[str] = []
    for (queue, lane), share in shares.items():
        if share:
            query = (
                select(_entries.c.run_id)
                .where(_entries.c.queue == queue, _entries.c.lane == lane, due)
                .order_by(_entries.c.priority.desc(), _entries.c.available_at, _entries.c.enqueued_at)
                .limit(share)
                .with_for_update(skip_locked=True)
            )
            found += connection.scalars(query)
    return found

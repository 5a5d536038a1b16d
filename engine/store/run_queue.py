"""The queue of runs on the ledger: a claim is one transaction, and what dead workers had is given away again.

The run's own row says whether it is queued, running or waiting; an entry says when it may be taken, and whose turn it
shares. Lanes take turns, and a lane locked by somebody else is passed over.
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, case, delete, func, select, text, update

from engine.ports import Taken
from engine.records import RunStatus
from engine.store import tables
from engine.store.hands import history_of
from engine.store.lanes import Room, Wanted, count_starts, due, not_paused, open_lanes, room_of, shares
from engine.store.lease import Lease, beats, may_be_dead, time_of
from engine.store.lease_time import lease_of
from engine.store.picking import begin

MOST_DEATHS = 3
"""Processes that may die with a run before it is left alone."""

_entries, _lanes, _runs, _workers = tables.queue_entries, tables.lanes, tables.runs, tables.workers


def claim(connection: Connection, lease: Lease, wanted: Wanted, capacity: int, now: datetime) -> list[Taken]:
    """Take up to so many runs that are due, lane after lane; each has a new fence."""
    lanes = open_lanes(connection, wanted, capacity)
    spare = min(wanted.spare, capacity) if any(lane.has_others for lane in lanes) else 0
    allowed = shares(connection, lanes, capacity, spare=spare, busy=wanted.busy)
    if not allowed:
        return []
    room = room_of(connection, wanted.queues) if any(lane.has_limits for lane in lanes) else Room()
    begun = begin(connection, wanted, allowed, room, lease.worker_id, now)
    count_starts(connection, lanes, Counter(one.lane for one in begun))
    lease.take(connection, {one.record.run_id: one.record.fence for one in begun})
    return [
        Taken(one.record, is_queued=True, lane=one.lane)
        if one.attempts == 1
        else replace(history_of(connection, one.record, is_queued=True), lane=one.lane)
        for one in begun
    ]


def reap(connection: Connection) -> list[str]:
    """Queue the runs of dead workers again; one that several processes died with is dead."""
    now = time_of(connection)
    dead = _dead(connection, now)
    if not dead:
        return []
    at_work = (_entries.c.run_id == _runs.c.run_id) & tables.IS_RUNNING
    theirs = _runs.c.worker_id.in_([worker for worker in dead if worker])
    if None in dead:
        theirs |= _runs.c.worker_id.is_(None)
    query = select(_runs.c.run_id, _entries.c.deaths).join_from(_runs, _entries, at_work).where(theirs)
    lost = connection.execute(query.with_for_update(skip_locked=True)).all()
    poison = [row.run_id for row in lost if row.deaths + 1 >= MOST_DEATHS]
    others = [row.run_id for row in lost if row.deaths + 1 < MOST_DEATHS]
    freed = {"fence": _runs.c.fence + 1, "worker_id": None}
    connection.execute(update(_runs).where(_runs.c.run_id.in_(others)).values(status=RunStatus.QUEUED, **freed))
    place = case((_entries.c.enqueued_at < now, _entries.c.enqueued_at), else_=now)  # the old one, before later runs
    again = {"available_at": place, "taken_at": None, "deaths": _entries.c.deaths + 1}
    connection.execute(update(_entries).where(_entries.c.run_id.in_(others)).values(**again))
    for run_id in poison:
        said = f"{MOST_DEATHS} processes died while they had it: look into it, then `flowledger requeue {run_id}`"
        ended = {"status": RunStatus.DEAD, "ended_at": now, "error_type": "ProcessesDied", "error_message": said}
        connection.execute(update(_runs).where(_runs.c.run_id == run_id).values(**ended, **freed))
    connection.execute(delete(_entries).where(_entries.c.run_id.in_(poison)))
    return [*others, *poison]


def _dead(connection: Connection, now: datetime) -> list[str | None]:
    """Give the dead that have runs, and None for runs of nobody: without a look at each run that is worked on."""
    has = (_runs.c.worker_id == _workers.c.worker_id) & tables.IS_RUNNING
    lease_seconds = lease_of(connection)
    doubtful = select(_workers).where(may_be_dead(now, lease_seconds), select(_runs.c.run_id).where(has).exists())
    found = connection.execute(doubtful).all()
    dead: list[str | None] = [row.worker_id for row in found if not beats(row, now, lease_seconds)]
    unknown = select(_runs.c.worker_id).distinct().outerjoin_from(_runs, _workers, has)
    return dead + list(connection.scalars(unknown.where(tables.IS_RUNNING, _workers.c.worker_id.is_(None))))


def due_count(connection: Connection, wanted: Wanted) -> int:
    """Count the runs that may be taken now."""
    here = _entries.c.queue.in_(list(wanted.queues)) & not_paused(_entries.c.queue) & due(connection.dialect.name)
    query = select(func.count()).select_from(_entries).where(here)
    return connection.scalar(query, {"versions": list(wanted.versions)}) or 0


def forget_lanes(connection: Connection, before: datetime) -> None:
    """Delete lanes without a limit that had no run for a while."""
    used = select(_entries.c.run_id).where(_entries.c.queue == _lanes.c.queue, _entries.c.lane == _lanes.c.lane)
    is_old = (_lanes.c.began_at < before) & (_lanes.c.last_claim_at < before)
    idle = is_old & _lanes.c.max_running.is_(None) & _lanes.c.starts_per_second.is_(None) & ~used.exists()
    if connection.execute(select(_lanes.c.lane).where(idle).limit(1)).first() is None:
        return
    if connection.dialect.name == "postgresql":  # so that nobody queues a run just now in a lane that goes
        connection.execute(text("LOCK TABLE lanes IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(delete(_lanes).where(idle))

"""What people say about queues while they run: pause, go on, limit a lane, queue a run again."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from engine.errors import InputError, RunBusy
from engine.records import RunStatus
from engine.store import tables
from engine.store.control_events import note
from engine.store.lease import is_alive, lock_run, time_of, touch_run
from engine.store.statements import upsert_of

_OVER = (RunStatus.SUCCEEDED, RunStatus.BLOCKED)


def set_paused(connection: Connection, queue: str, by: str | None, *, paused: bool) -> None:
    """Have nothing taken from a queue, or let it be taken from again; runs in progress go on."""
    at = time_of(connection) if paused else None
    mine = select(tables.queues.c.paused_at).where(tables.queues.c.queue == queue)
    before = {"paused": connection.scalar(mine.with_for_update()) is not None}
    made = upsert_of(connection.dialect.name)(tables.queues).values(queue=queue, paused_at=at)
    connection.execute(made.on_conflict_do_update(index_elements=["queue"], set_={"paused_at": at}))
    note(connection, "pause queue" if paused else "unpause queue", queue, by, before=before, after={"paused": paused})


def set_limit(connection: Connection, queue: str, lane: str, max_running: int | None, by: str | None) -> None:
    """Say how many runs of a lane may be worked on at once; those in progress go on."""
    mine = (tables.lanes.c.queue == queue) & (tables.lanes.c.lane == lane)
    before = {"max_running": connection.scalar(select(tables.lanes.c.max_running).where(mine).with_for_update())}
    values = {"queue": queue, "lane": lane, "max_running": max_running, "last_enqueued_at": time_of(connection)}
    made = upsert_of(connection.dialect.name)(tables.lanes).values(**values)
    changed = {"max_running": max_running}
    connection.execute(made.on_conflict_do_update(index_elements=["queue", "lane"], set_=changed))
    note(connection, "limit lane", f"{queue}/{lane}", by, before=before, after=changed)


def requeue(
    connection: Connection,
    run_id: str,
    queue: str,
    lane: str | None,
    version: str,
    at: datetime,
    by: str | None,
) -> None:
    """Queue a run that stopped short of its end; it goes on from its last checkpoint.

    Raises:
        InputError: there is no such run, or it has come to its end.
        RunBusy: it is queued, or a living process has it.
    """
    row = lock_run(connection, run_id)
    entries = tables.queue_entries
    entry = connection.execute(select(entries).where(entries.c.run_id == run_id)).first()
    if row.status in _OVER:
        raise InputError(f"the run {run_id} is {row.status}: there is nothing left to do")
    if row.input_payload is None:
        raise InputError(f"the run {run_id} stopped before its input was accepted: enqueue it anew")
    if row.status == RunStatus.QUEUED or (row.status == RunStatus.RUNNING and is_alive(connection, row.worker_id)):
        raise RunBusy(f"the run {run_id} is {row.status} already")
    lane = (row.tenant or "") if lane is None else lane
    touch_run(
        connection, run_id, status=RunStatus.QUEUED, fence=row.fence + 1, worker_id=None, ended_at=None, error_type=None
    )
    turn = {"queue": queue, "lane": lane, "version": version, "available_at": at, "deaths": 0}
    if entry is None:
        values = turn | {"run_id": run_id, "priority": 0, "enqueued_at": at, "attempts": 1}
        connection.execute(insert(entries).values(**values))
    else:
        connection.execute(update(entries).where(entries.c.run_id == run_id).values(**turn))
    opened = upsert_of(connection.dialect.name)(tables.lanes).values(queue=queue, lane=lane, last_enqueued_at=at)
    connection.execute(opened.on_conflict_do_update(index_elements=["queue", "lane"], set_={"last_enqueued_at": at}))
    after = {"status": RunStatus.QUEUED, "queue": queue, "lane": lane}
    note(connection, "requeue run", run_id, by, before={"status": row.status}, after=after)

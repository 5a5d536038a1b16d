"""What people say about queues while they run: pause, go on, limit a lane, queue a run again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from engine.errors import InputError, RunBusy
from engine.queue_records import NEVER
from engine.records import RunStatus
from engine.store import tables
from engine.store.control_events import note
from engine.store.lease import is_alive, lock_run, time_of, touch_run
from engine.store.statements import insert_once, upsert_of

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
    _change_lane(connection, queue, lane, {"max_running": max_running}, by)


def set_rate(connection: Connection, queue: str, lane: str, per_second: float | None, by: str | None) -> None:
    """Say how fast runs of a lane may be taken."""
    _change_lane(connection, queue, lane, {"starts_per_second": per_second, "next_start_at": None}, by)


def set_limit_across(
    connection: Connection, queue: str, kind: str, name: str, max_running: int | None, by: str | None
) -> None:
    """Say how many runs of a queue that share a workflow or a resource may be worked on at once."""
    limits = tables.queue_limits
    mine = (limits.c.queue == queue) & (limits.c.kind == kind) & (limits.c.name == name)
    before = {"max_running": connection.scalar(select(limits.c.max_running).where(mine).with_for_update())}
    changed = {"max_running": max_running}
    if max_running is None:
        connection.execute(delete(limits).where(mine))
    else:
        made = upsert_of(connection.dialect.name)(limits).values(queue=queue, kind=kind, name=name, **changed)
        connection.execute(made.on_conflict_do_update(index_elements=["queue", "kind", "name"], set_=changed))
    note(connection, f"limit {kind}", f"{queue}/{name}", by, before=before, after=changed)


def drain_worker(connection: Connection, worker_id: str, by: str | None) -> str:
    """Ask a living worker to take no more, and give its id.

    Raises:
        InputError: there is none of this id, or of a beginning of it, or several; or it is gone.
    """
    workers = tables.workers
    named = select(workers.c.worker_id, workers.c.drain_requested_at)
    named = named.where(workers.c.worker_id.startswith(worker_id, autoescape=True)).with_for_update()
    found = connection.execute(named).all()
    living = [row for row in found if is_alive(connection, row.worker_id)]
    if not worker_id or not living:
        why = f"the worker {worker_id} is gone" if worker_id and found else f"no worker has the id {worker_id!r}"
        raise InputError(f"{why}: `flowledger workers` lists them")
    if len(living) > 1:
        raise InputError(f"several workers have ids that begin with {worker_id!r}: give more of it")
    (row,) = living
    asked = update(workers).where(workers.c.worker_id == row.worker_id)
    connection.execute(asked.values(drain_requested_at=row.drain_requested_at or time_of(connection)))
    before = {"draining": row.drain_requested_at is not None}
    note(connection, "drain worker", row.worker_id, by, before=before, after={"draining": True})
    return str(row.worker_id)


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
    own: str = row.tenant or ""
    chosen = own if lane is None else lane
    touch_run(
        connection, run_id, status=RunStatus.QUEUED, fence=row.fence + 1, worker_id=None, ended_at=None, error_type=None
    )
    turn = {"queue": queue, "lane": chosen, "version": version, "available_at": at, "taken_at": None, "deaths": 0}
    if entry is None:
        first = {"run_id": run_id, "workflow": row.workflow, "priority": 0, "enqueued_at": at, "attempts": 1}
        connection.execute(insert(entries).values(**turn, **first))
    else:
        connection.execute(update(entries).where(entries.c.run_id == run_id).values(**turn))
    connection.execute(insert_once(tables.lanes, connection.dialect.name).values(**_new_lane(queue, chosen, at)))
    after = {"status": RunStatus.QUEUED, "queue": queue, "lane": chosen}
    note(connection, "requeue run", run_id, by, before={"status": row.status}, after=after)


def _change_lane(connection: Connection, queue: str, lane: str, changed: Mapping[str, Any], by: str | None) -> None:
    lanes = tables.lanes
    said = next(iter(changed))  # what else changes follows from it
    mine = (lanes.c.queue == queue) & (lanes.c.lane == lane)
    before = {said: connection.scalar(select(lanes.c[said]).where(mine).with_for_update())}
    made = upsert_of(connection.dialect.name)(lanes)
    made = made.values(**_new_lane(queue, lane, time_of(connection)), **changed)
    connection.execute(made.on_conflict_do_update(index_elements=["queue", "lane"], set_=dict(changed)))
    note(connection, "limit lane", f"{queue}/{lane}", by, before=before, after={said: changed[said]})


def _new_lane(queue: str, lane: str, at: datetime) -> dict[str, Any]:
    return {"queue": queue, "lane": lane, "began_at": at, "last_claim_at": NEVER}

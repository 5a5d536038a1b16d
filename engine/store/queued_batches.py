"""Batches in the database: runs that were queued together, and their end from outside."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from engine.control_records import BatchRecord
from engine.errors import InputError
from engine.records import RunStatus
from engine.store.control_events import note
from engine.store.hands import cancel as cancel_run
from engine.store.hands import records_of
from engine.store.statements import insert_once
from engine.store.tables import batches, queue_entries, runs

_AT_ONCE = 500  # runs that are cancelled in one transaction


def open_batch(connection: Connection, record: BatchRecord) -> BatchRecord:
    """Write a new batch down, or give the one that has its name.

    Raises:
        InputError: that one is of another workflow, or was cancelled.
    """
    connection.execute(insert_once(batches, connection.dialect.name), asdict(record))
    mine = batches.c.batch_id == record.batch_id
    is_it = mine if record.name is None else batches.c.name == record.name
    found: BatchRecord = records_of(BatchRecord, connection.execute(select(batches).where(is_it)).all())[0]
    if found.workflow != record.workflow:
        raise InputError(f"the batch {found.name!r} is of the workflow {found.workflow!r}: give this one another name")
    if found.cancelled_at is not None:
        raise InputError(f"the batch {found.name or found.batch_id!r} was cancelled: give another name")
    return found


def named(connection: Connection, name: str) -> BatchRecord:
    """Give the batch of a name, of an id or of the beginning of one.

    Raises:
        InputError: there is none, or several fit.
    """
    fits = (batches.c.name == name) | batches.c.batch_id.startswith(name, autoescape=True)
    found: Sequence[BatchRecord] = records_of(BatchRecord, connection.execute(select(batches).where(fits)).all())
    found = [one for one in found if name in (one.name, one.batch_id)] or found
    if not name or not found:
        raise InputError(f"no batch has the name or id {name!r}: `flowledger batch` lists them")
    if len(found) > 1:
        raise InputError(f"several batches have ids that begin with {name!r}: give more of it")
    return found[0]


def latest(connection: Connection, limit: int) -> Sequence[BatchRecord]:
    """Give batches, newest first."""
    query = select(batches).order_by(batches.c.created_at.desc(), batches.c.batch_id.desc()).limit(limit)
    return records_of(BatchRecord, connection.execute(query).all())


def forget_empty(connection: Connection, batch_id: str) -> None:
    """Delete a batch in which nothing was queued."""
    used = select(runs.c.run_id).where(runs.c.batch_id == batch_id)
    connection.execute(delete(batches).where(batches.c.batch_id == batch_id, ~used.exists()))


def is_cancelled(connection: Connection, batch_id: str) -> bool:
    """Say whether a batch takes no more runs."""
    query = select(batches.c.cancelled_at).where(batches.c.batch_id == batch_id)
    return connection.scalar(query) is not None


def close(connection: Connection, batch: BatchRecord, now: datetime, by: str | None) -> None:
    """Have a batch take no more runs."""
    mine = batches.c.batch_id == batch.batch_id
    connection.execute(update(batches).where(mine).values(cancelled_at=now))
    query = select(runs.c.status, func.count()).where(runs.c.batch_id == batch.batch_id).group_by(runs.c.status)
    before = {row[0]: row[1] for row in connection.execute(query)}
    note(connection, "cancel batch", batch.name or batch.batch_id, by, before=before)


def cancel_queued(connection: Connection, batch_id: str, now: datetime) -> int:
    """End some runs that nobody has begun, and say how many; what a worker is taking just now is left to it."""
    query = (
        select(queue_entries.c.run_id)
        .join(runs, runs.c.run_id == queue_entries.c.run_id)
        .where(runs.c.batch_id == batch_id, runs.c.status == RunStatus.QUEUED, queue_entries.c.attempts == 0)
        .limit(_AT_ONCE)
        .with_for_update(of=queue_entries, skip_locked=True)
    )
    found = connection.scalars(query).all()
    ended = {
        "status": RunStatus.CANCELLED,
        "fence": runs.c.fence + 1,
        "ended_at": now,
        "cancel_requested_at": now,
        "error_type": "Cancelled",
        "error_message": "the batch was cancelled",
    }
    connection.execute(update(runs).where(runs.c.run_id.in_(found), runs.c.status == RunStatus.QUEUED).values(**ended))
    connection.execute(delete(queue_entries).where(queue_entries.c.run_id.in_(found)))
    return len(found)


def cancel_begun(connection: Connection, batch_id: str, after: str, now: datetime, by: str | None) -> str | None:
    """Ask for the end of some other runs that have not ended, those with ids after this one; end what nobody has.

    Returns:
        The last of these runs; None if there is none left.
    """
    left = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING)
    mine = (runs.c.batch_id == batch_id) & runs.c.status.in_(left) & (runs.c.run_id > after)
    last = None
    for run_id in connection.scalars(select(runs.c.run_id).where(mine).order_by(runs.c.run_id).limit(_AT_ONCE)).all():
        last = run_id
        with suppress(InputError):  # it has come to its end meanwhile
            cancel_run(connection, run_id, now, by)
    return last

"""Workers that are gone: nothing was heard of them for long, and no run that is running is theirs."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, select

from engine.store import tables
from engine.store.ended_runs import Amount
from engine.store.lease import time_of

_LEAST = timedelta(hours=1)  # far longer than a lease, so that a beat may be late

_workers, _runs = tables.workers, tables.runs


def count_gone(connection: Connection, before: datetime) -> Amount:
    """Count the workers that are gone and were last heard of before a time."""
    query = select(func.count()).select_from(_workers).where(_gone(connection, before))
    return Amount(connection.scalar(query) or 0)


def delete_gone(connection: Connection, before: datetime) -> Amount:
    """Delete them; one that only had nothing to do is there again when it begins a run."""
    return Amount(connection.execute(delete(_workers).where(_gone(connection, before))).rowcount)


def _gone(connection: Connection, before: datetime) -> ColumnElement[bool]:
    latest = min(before.astimezone(UTC), time_of(connection) - _LEAST)
    mine = select(_runs.c.run_id).where(_runs.c.worker_id == _workers.c.worker_id, tables.IS_RUNNING)
    return (_workers.c.beat_at < latest) & ~mine.exists()

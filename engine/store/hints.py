"""Hints of runs: what there is to tell workers of what was just written."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from engine.ports import Hint
from engine.records import QueueEntryRecord, Record
from engine.store import tables
from engine.store.lanes import Wanted
from engine.store.lease import time_of

_MOST_OF_A_QUEUE = 64


def hints_in(rows: Iterable[Record]) -> list[Hint]:
    """Give hints of the runs that were just queued and need not wait for their time."""
    return [
        Hint(row.run_id, 0, row.queue, row.version)
        for row in rows
        if isinstance(row, QueueEntryRecord) and row.available_at is not None and row.available_at <= row.enqueued_at
    ]


def hints_of(connection: Connection, run_ids: Sequence[str]) -> list[Hint]:
    """Give hints of those of these runs that may be taken now."""
    entries, runs = tables.queue_entries, tables.runs
    is_due = entries.c.run_id.in_(run_ids) & (entries.c.available_at <= time_of(connection))
    query = (
        select(entries.c.run_id, runs.c.fence, entries.c.queue, entries.c.version)
        .join(runs, runs.c.run_id == entries.c.run_id)
        .where(is_due)
    )
    return [Hint(*row) for row in connection.execute(query)]


def hints_in_queue(connection: Connection, queue: str) -> list[Hint]:
    """Give hints of runs of a queue that may be taken now: a few, since who takes one looks for more by itself."""
    entries, now = tables.queue_entries.c, time_of(connection)
    due = (entries.queue == queue) & (entries.available_at <= now)
    query = select(entries.run_id, entries.version).where(due).limit(_MOST_OF_A_QUEUE)
    moment = -int(
        now.timestamp() * 1000
    )  # no fence: workers were told of the run under that when they could not take it
    return [Hint(row.run_id, moment, queue, row.version) for row in connection.execute(query)]


def next_due(
    connection: Connection, wanted: Wanted, after: datetime | None, within: float
) -> tuple[datetime | None, datetime]:
    """Give when the next delayed run is due after a time, or None if it is not within so many seconds; and the time."""
    entries, now = tables.queue_entries.c, time_of(connection)
    is_delayed = (entries.available_at > entries.enqueued_at) & entries.queue.in_(list(wanted.queues))
    latest = now + timedelta(seconds=within)
    is_soon = (entries.available_at > (after or now)) & (entries.available_at <= latest)
    mine = is_delayed & is_soon & entries.version.in_(list(wanted.versions))
    return connection.scalar(select(func.min(entries.available_at)).where(mine)), now

"""Hints of runs: what there is to tell workers of what was just written."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from engine.ports import Hint
from engine.records import QueueEntryRecord, Record
from engine.store import tables
from engine.store.lease import time_of


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

"""The first runs of each lane are picked and begun: on PostgreSQL in one statement, unless limits span lanes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text, true, tuple_, update

from engine.records import RunRecord, RunStatus
from engine.store import tables
from engine.store.hands import begun_by, records_of
from engine.store.lanes import Lane, Room, Wanted, due
from engine.store.lease import clock_of

_AT_REST = (RunStatus.QUEUED, RunStatus.WAITING)
_entries, _lanes, _runs = tables.queue_entries, tables.lanes, tables.runs

# Rows are found by arrays of ids, since the planner takes what is picked for a tenth of a lane and would read all; and
# what is said of their status uses no index, or all that is queued may be read.
_AT_ONCE = text("""
WITH share AS MATERIALIZED (
    SELECT * FROM unnest(CAST(:queues AS text[]), CAST(:lanes AS text[]), CAST(:mosts AS int[])) WITH ORDINALITY
    AS share (queue, lane, most, turn)
), picked AS MATERIALIZED (
    SELECT first.*, share.queue, share.lane, share.turn FROM share CROSS JOIN LATERAL (
        SELECT e.run_id, e.priority, e.available_at, e.enqueued_at FROM queue_entries AS e
        WHERE e.queue = share.queue AND e.lane = share.lane AND e.available_at IS NOT NULL
            AND e.version = ANY(CAST(:versions AS text[]))
            AND (e.available_at <= clock_timestamp() OR e.available_at <= e.enqueued_at)
        ORDER BY e.priority DESC, e.available_at, e.enqueued_at LIMIT share.most FOR UPDATE SKIP LOCKED
    ) AS first
), taken AS (
    UPDATE queue_entries AS e SET available_at = NULL, taken_at = clock_timestamp(), attempts = e.attempts + 1
    WHERE e.run_id = ANY(ARRAY(SELECT run_id FROM picked)) RETURNING e.run_id, e.attempts
), turned AS (
    UPDATE lanes SET last_claim_at = clock_timestamp() FROM share
    WHERE lanes.queue = share.queue AND lanes.lane = share.lane
), begun AS (
    UPDATE runs SET status = 'running', worker_id = :worker_id, claimed_at = :now, fence = runs.fence + 1,
        ended_at = NULL, cancel_requested_at = NULL, error_type = NULL, error_message = NULL, error_node = NULL
    WHERE runs.run_id = ANY(ARRAY(SELECT run_id FROM picked)) AND (runs.status IN ('queued', 'waiting')) IS TRUE
    RETURNING runs.*
)
SELECT begun.*, taken.attempts AS taken_attempts, picked.queue AS of_queue, picked.lane AS of_lane
FROM begun JOIN taken USING (run_id) JOIN picked USING (run_id)
ORDER BY picked.turn, picked.priority DESC, picked.available_at, picked.enqueued_at
""")


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that was taken just now: its row under the new fence, how often that was, and from which lane."""

    record: RunRecord
    attempts: int
    lane: Lane


def begin(
    connection: Connection, wanted: Wanted, shares: Mapping[Lane, int], room: Room, worker_id: str, now: datetime
) -> list[Begun]:
    """Take the first runs of each lane, as many as it may give; each has a new fence."""
    if connection.dialect.name == "postgresql" and not room.is_bounded:
        return _begin_at_once(connection, wanted, shares, worker_id, now)
    picked = {row.run_id: (row.queue, row.lane) for row in _first_of(connection, wanted, shares, room)}
    clock = clock_of(connection.dialect.name)
    turned = update(_lanes).where(tuple_(_lanes.c.queue, _lanes.c.lane).in_(list(shares)))
    connection.execute(turned.values(last_claim_at=clock))  # also those that had nothing, so that others come first
    if not picked:
        return []
    begun = update(_entries).where(_entries.c.run_id.in_(list(picked)))
    begun = begun.values(available_at=None, taken_at=clock, attempts=_entries.c.attempts + 1)
    counted = connection.execute(begun.returning(_entries.c.run_id, _entries.c.attempts)).all()
    attempts = {row.run_id: row.attempts for row in counted}
    at_rest = _runs.c.status.in_(_AT_REST).is_(true())  # by no index, as above
    taken = update(_runs).where(_runs.c.run_id.in_(list(picked)), at_rest)
    values = begun_by(worker_id, now) | {"fence": _runs.c.fence + 1}
    records = records_of(RunRecord, connection.execute(taken.values(**values).returning(_runs)).all())
    ours = {record.run_id: record for record in records}
    return [Begun(ours[run_id], attempts[run_id], lane) for run_id, lane in picked.items() if run_id in ours]


def _begin_at_once(
    connection: Connection, wanted: Wanted, shares: Mapping[Lane, int], worker_id: str, now: datetime
) -> list[Begun]:
    given = {
        "queues": [queue for queue, _ in shares],
        "lanes": [lane for _, lane in shares],
        "mosts": list(shares.values()),
        "versions": list(wanted.versions),
        "worker_id": worker_id,
        "now": now,
    }
    rows = connection.execute(_AT_ONCE, given).all()
    records: list[RunRecord] = records_of(RunRecord, rows)
    return [
        Begun(record, row.taken_attempts, (row.of_queue, row.of_lane))
        for record, row in zip(records, rows, strict=True)
    ]


def _first_of(connection: Connection, wanted: Wanted, shares: Mapping[Lane, int], room: Room) -> Sequence[Any]:
    """Lock the first runs of each lane, past those of limits that are reached."""
    found: list[Any] = []
    is_due = due(connection.dialect.name)
    for (queue, lane), share in shares.items():
        query = select(_entries).where(_entries.c.queue == queue, _entries.c.lane == lane, is_due)
        for kind in ("workflow", "resource"):
            full = [name for its, name in room.full(kind) if its == queue]
            if full:
                query = query.where(_entries.c[kind].is_(None) | _entries.c[kind].not_in(full))
        query = query.order_by(_entries.c.priority.desc(), _entries.c.available_at, _entries.c.enqueued_at)
        first = query.limit(share).with_for_update(skip_locked=True)
        rows = connection.execute(first, {"versions": list(wanted.versions)}).all()
        found += [row for row in rows if room.admits(row)]
    return found

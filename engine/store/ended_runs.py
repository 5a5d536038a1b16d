"""Runs that ended before some time: which they are, what they hold, and how that is deleted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, literal, select

from engine.records import RunStatus
from engine.store import tables

OF_RUN = (
    tables.steps,
    tables.calls,
    tables.call_costs,
    tables.questions,
    tables.events,
    tables.verdicts,
    tables.guard_times,
    tables.outcomes,
    tables.scores,
    tables.samples,
    tables.runs,
)
"""The tables of the ledger that hold rows of a run."""

_OPEN = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.NEEDS_REVIEW)
ENDED = [status for status in RunStatus if status not in _OPEN]
"""How a run stands that has come to its end; a failed one may be resumed all the same."""
_HOLDS = {  # what takes room in the rows of checkpoints
    tables.checkpoint_writes: ("value",),
    tables.checkpoint_blobs: ("value",),
    tables.checkpoints: ("state", "addresses", "metadata"),
}
_AT_ONCE = 100  # runs, or streams of checkpoints, in one transaction
_streams, _runs = tables.checkpoint_streams, tables.runs


@dataclass(frozen=True, slots=True)
class Amount:
    """How many rows, and how many bytes they hold; None where nobody counts them."""

    rows: int = 0
    bytes: int | None = None

    def __add__(self, other: "Amount") -> "Amount":
        """Add up; what is not counted adds nothing."""
        known = [one.bytes for one in (self, other) if one.bytes is not None]
        return Amount(self.rows + other.rows, sum(known) if known else None)


Amounts = Mapping[str, Amount]
"""By kind: checkpoints, workers, payloads, and the tables of the ledger."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which runs are concerned: those that ended before a time; one that waits for a person has not.

    Attributes:
        whole_runs: whether their rows in the ledger are, too, and not only their checkpoints.
    """

    older_than: datetime
    whole_runs: bool = False

    @property
    def ended(self) -> Select[Any]:
        """The ids of these runs."""
        before = self.older_than.astimezone(UTC)
        return select(_runs.c.run_id).where(_runs.c.status.in_(ENDED), _runs.c.ended_at < before)

    @property
    def kept_streams(self) -> Select[Any]:
        """The numbers of the streams of checkpoints that stay; threads that are no runs are somebody else's."""
        return select(_streams.c.sid).where(_streams.c.thread_id.not_in(self.ended))

    def amounts(self, connection: Connection) -> dict[str, Amount]:
        """Count what there is to delete, but for payloads."""
        kept = self.kept_streams
        found = {"checkpoints": _held(connection, lambda table: table.c.sid.not_in(kept))}
        for table in OF_RUN if self.whole_runs else ():
            query = select(func.count()).select_from(table).where(table.c.run_id.in_(self.ended))
            found[table.name] = Amount(connection.scalar(query) or 0)
        return found

    def delete_some(self, connection: Connection, after: str) -> tuple[str | None, int, Amounts]:
        """Delete what some runs hold, those with ids after this one first.

        Returns:
            The last of these runs, how many they were, and what they held; None if there is none left.
        """
        query = self.ended.where(_runs.c.run_id > after)
        if not self.whole_runs:
            query = query.where(_runs.c.run_id.in_(select(_streams.c.thread_id)))
        query = query.order_by(_runs.c.run_id).limit(_AT_ONCE).with_for_update()  # none of them is resumed meanwhile
        ids = list(connection.scalars(query))
        if not ids:
            return None, 0, {}
        numbers = list(connection.scalars(select(_streams.c.sid).where(_streams.c.thread_id.in_(ids))))
        deleted = {"checkpoints": _delete_streams(connection, numbers)}
        for table in OF_RUN if self.whole_runs else ():
            deleted[table.name] = Amount(connection.execute(delete(table).where(table.c.run_id.in_(ids))).rowcount)
        return ids[-1], len(ids), deleted


def delete_orphans(connection: Connection) -> Amount:
    """Delete some of the rows of checkpoints whose stream is gone."""
    orphans: set[int] = set()
    for table in _HOLDS:
        gone = table.c.sid.not_in(select(_streams.c.sid))
        orphans.update(connection.scalars(select(table.c.sid).where(gone).distinct().limit(_AT_ONCE)))
    return _delete_streams(connection, sorted(orphans))


def _delete_streams(connection: Connection, numbers: Sequence[int]) -> Amount:
    if not numbers:
        return Amount()
    held = _held(connection, lambda table: table.c.sid.in_(numbers))
    for table in (*_HOLDS, _streams):
        connection.execute(delete(table).where(table.c.sid.in_(numbers)))
    return held


def _held(connection: Connection, condition: Callable[[Table], ColumnElement[bool]]) -> Amount:
    """Count the rows of checkpoints that fit, and what they hold."""
    total = Amount(0, 0)
    for table, names in _HOLDS.items():
        size = func.sum(sum((func.coalesce(func.length(table.c[name]), 0) for name in names), literal(0)))
        row = connection.execute(select(func.count(), size).select_from(table).where(condition(table))).one()
        total += Amount(int(row[0]), int(row[1] or 0))
    return total

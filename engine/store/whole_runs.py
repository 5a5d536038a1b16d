"""Whole runs off the ledger, some at a time, in the order of their ids."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from engine.errors import StoreError
from engine.eval_records import ScoreRecord
from engine.records import CallRecord, OutcomeRecord, RunRecord, StepRecord, VerdictRecord
from engine.store import tables
from engine.store.ended_runs import ENDED
from engine.store.hands import records_of
from engine.store.reader import values_at

_RUNS = tables.runs.c
_PAYLOAD = "_payload"
_NEVER_TOLD = frozenset({"bundle_payload", "budget_payload"})
_OF_RUN: dict[str, tuple[Any, type[Any]]] = {
    "steps": (tables.steps, StepRecord),
    "calls": (tables.calls, CallRecord),
    "verdicts": (tables.verdicts, VerdictRecord),
    "outcomes": (tables.outcomes, OutcomeRecord),
    "scores": (tables.scores, ScoreRecord),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsWanted:
    """Which runs are meant; those that have not ended never are, unless they are named.

    Attributes:
        run_ids: these; all if empty.
        since, until: began since, and before.
        ended_since: ended since.
    """

    run_ids: Sequence[str] = ()
    workflow: str | None = None
    status: str | None = None
    tenant: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ended_since: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Give what holds for the rows of these runs."""
        found = [_RUNS.run_id.in_(self.run_ids)] if self.run_ids else [_RUNS.status.in_(ENDED)]
        named = {"workflow": self.workflow, "status": self.status, "tenant": self.tenant}
        found += [_RUNS[name] == value for name, value in named.items() if value is not None]
        found += [] if self.since is None else [_RUNS.started_at >= self.since]
        found += [] if self.until is None else [_RUNS.started_at < self.until]
        return found + ([] if self.ended_since is None else [_RUNS.ended_at >= self.ended_since])


@dataclass(slots=True, kw_only=True)
class WholeRun:
    """A run with all that the ledger says of it, in the order in which it happened."""

    run: RunRecord
    steps: list[StepRecord] = field(default_factory=list[StepRecord])
    calls: list[CallRecord] = field(default_factory=list[CallRecord])
    verdicts: list[VerdictRecord] = field(default_factory=list[VerdictRecord])
    outcomes: list[OutcomeRecord] = field(default_factory=list[OutcomeRecord])
    scores: list[ScoreRecord] = field(default_factory=list[ScoreRecord])


def count_runs(connection: Connection, wanted: RunsWanted) -> int:
    """Count them."""
    return connection.scalar(select(func.count()).select_from(tables.runs).where(*wanted.conditions())) or 0


def payload_names(whole: WholeRun) -> set[str]:
    """Give what stands in the columns of payloads that hold what was said in a run."""
    return {
        value
        for row in (whole.run, *whole.steps, *whole.calls)
        for one in fields(row)
        if one.name.endswith(_PAYLOAD) and one.name not in _NEVER_TOLD
        if (value := getattr(row, one.name)) is not None
    }


def read_runs(
    connection: Connection, wanted: RunsWanted, after: str, limit: int, *, values: bool
) -> tuple[list[WholeRun], dict[str, Any]]:
    """Give up to so many of them, those with ids after this one, and the values that they name; no run is the end.

    Raises:
        StoreError: a value is not there any more.
    """
    found = _runs_after(connection, wanted, after, limit)
    named = sorted({name for whole in found for name in payload_names(whole)}) if values else []
    try:
        return found, dict(zip(named, values_at(connection, named), strict=True))
    except KeyError as error:
        raise StoreError("a text of these runs is not in the ledger any more: export them without --content") from error


def calls_of(connection: Connection, run_ids: Sequence[str]) -> dict[str, list[CallRecord]]:
    """Give the attempts of runs, by the run and in the order in which they began; a run without one has no entry."""
    found = _by_run(connection, tables.calls, CallRecord, run_ids)
    for calls in found.values():
        calls.sort(key=lambda call: (call.started_at, call.step_id, call.ordinal, call.attempt))
    return found


def _runs_after(connection: Connection, wanted: RunsWanted, after: str, limit: int) -> list[WholeRun]:
    query = select(tables.runs).where(_RUNS.run_id > after, *wanted.conditions()).order_by(_RUNS.run_id).limit(limit)
    found = {run.run_id: WholeRun(run=run) for run in records_of(RunRecord, connection.execute(query).all())}
    for name, (table, record) in _OF_RUN.items() if found else ():
        for run_id, rows in _by_run(connection, table, record, list(found)).items():
            setattr(found[run_id], name, rows)
    for whole in found.values():
        whole.steps.sort(key=lambda step: (step.seq, step.step_id, step.attempt))
        whole.calls.sort(key=lambda call: (call.started_at, call.step_id, call.ordinal, call.attempt))
    return list(found.values())


def _by_run(connection: Connection, table: Any, record: type[Any], run_ids: Sequence[str]) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = defaultdict(list)
    query = select(table).where(table.c.run_id.in_(run_ids)).order_by(*table.primary_key)
    for row in records_of(record, connection.execute(query).all()):
        grouped[row.run_id].append(row)
    return grouped

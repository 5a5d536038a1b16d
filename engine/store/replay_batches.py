"""Replays of many runs: which runs a selection means, and what became of each."""

import operator as operators
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import re2
from sqlalchemy import ColumnElement, Connection, Select, String, cast, func, insert, or_, select, update

from engine.errors import InputError
from engine.records import RunRecord
from engine.replay_records import REPLAY, BatchReplayRecord, ReplayBatchRecord
from engine.store import tables
from engine.store.hands import records_of
from engine.store.statements import upsert_of

_TABLES = {"runs": tables.runs, "steps": tables.steps, "calls": tables.calls, "verdicts": tables.verdicts}
_CONDITION = re2.compile(r"^(?:(\w+)\.)?(\w+)(!=|>=|<=|=|>|<|~)(.*)$")
_COMPARE = {
    "=": operators.eq,
    "!=": operators.ne,
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs: those that every part of it fits.

    Attributes:
        where: conditions on columns, as in "error_type=NodeFailed", "calls.request_model~gpt" or "cost_nano_usd>1000".
        sample: how many of them; the same ones each time. None is all.
    """

    workflow: str | None = None
    status: str | None = None
    tenant: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    where: Sequence[str] = field(default_factory=tuple[str, ...])
    sample: int | None = None


def selected(connection: Connection, selection: Selection) -> list[RunRecord]:
    """Give the runs of a selection that can be replayed, the oldest first; replays themselves are none of them.

    Raises:
        InputError: a condition is none, or names a column that there is not.
    """
    runs = tables.runs
    query = select(runs).where(runs.c.origin != REPLAY, runs.c.input_payload.is_not(None))
    said = {"workflow": selection.workflow, "status": selection.status, "tenant": selection.tenant}
    for name, value in said.items():
        query = query if value is None else query.where(runs.c[name] == value)
    query = query if selection.since is None else query.where(runs.c.started_at >= selection.since)
    query = query if selection.until is None else query.where(runs.c.started_at < selection.until)
    for condition in selection.where:
        query = _with(query, condition)
    if selection.sample is not None:  # the last digits of an id are chance, and the same tomorrow
        query = query.order_by(func.substr(runs.c.run_id, 17), runs.c.run_id).limit(selection.sample)
    found: list[RunRecord] = records_of(RunRecord, connection.execute(query).all())
    return sorted(found, key=lambda run: (run.started_at, run.run_id))


def _with(query: Select[Any], condition: str) -> Select[Any]:
    """Add a condition; one on steps, calls or verdicts asks that there is one of the run for which it is so."""
    parts: Any = _CONDITION.match(condition)
    if parts is None:
        raise InputError(f"--where {condition!r}: write COLUMN=VALUE, or with !=, <, <=, >, >= or ~ (has in it)")
    table_name, column_name = str(parts.group(1) or "runs"), str(parts.group(2))
    table = _TABLES.get(table_name)
    if table is None or column_name not in table.c:
        known = ", ".join(_TABLES if table is None else (column.name for column in table.c))
        raise InputError(f"--where {condition!r}: there is no {table_name}.{column_name}; there are {known}")
    holds = _holds(table.c[column_name], str(parts.group(3)), str(parts.group(4)), condition)
    if table is tables.runs:
        return query.where(holds)
    return query.where(select(table.c.run_id).where(table.c.run_id == tables.runs.c.run_id, holds).exists())


def _holds(column: ColumnElement[Any], operator: str, value: str, condition: str) -> ColumnElement[bool]:
    if operator == "~":
        return cast(column, String).contains(value, autoescape=True)
    if value == "null":
        return column.is_(None) if operator == "=" else column.is_not(None)
    kind: type = column.type.python_type
    try:
        wanted = _READ[kind](value)
    except (ValueError, KeyError) as error:
        raise InputError(f"--where {condition!r}: a {kind.__name__} is expected, not {value!r}") from error
    holds: ColumnElement[bool] = _COMPARE[operator](column, wanted)
    return or_(holds, column.is_(None)) if operator == "!=" else holds


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_READ: Mapping[type, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    datetime: _moment,
    bool: {"true": True, "false": False}.__getitem__,
}


def last_answer(connection: Connection, tool: str) -> str | None:
    """Give what stands for the answer that a tool gave last, in any run."""
    calls = tables.calls
    mine = (calls.c.tool_name == tool) & (calls.c.status == "ok") & calls.c.response_payload.is_not(None)
    query = select(calls.c.response_payload).where(mine, calls.c.cost_source != "recorded")
    return connection.scalar(query.order_by(calls.c.started_at.desc()).limit(1))


def begin(connection: Connection, batch: ReplayBatchRecord) -> None:
    """Write down that a batch begins."""
    connection.execute(insert(tables.replay_batches).values(**asdict(batch)))


def batch_of(connection: Connection, batch_id: str) -> ReplayBatchRecord:
    """Give a batch by its id, or a beginning of it.

    Raises:
        InputError: there is none, or there are several.
    """
    table = tables.replay_batches
    found = connection.execute(select(table).where(table.c.batch_id.startswith(batch_id, autoescape=True))).all()
    if len(found) != 1:
        what = "several batches of replays begin" if found else "no batch of replays begins"
        raise InputError(f"{what} with {batch_id!r}")
    return records_of(ReplayBatchRecord, found)[0]


def done(connection: Connection, batch_id: str) -> Sequence[BatchReplayRecord]:
    """Give what became of the runs of a batch so far."""
    table = tables.batch_replays
    return records_of(BatchReplayRecord, connection.execute(select(table).where(table.c.batch_id == batch_id)).all())


def note(connection: Connection, replayed: BatchReplayRecord) -> None:
    """Write down what became of a run; said again it is what was said last."""
    values = asdict(replayed)
    made = upsert_of(connection.dialect.name)(tables.batch_replays).values(**values)
    connection.execute(made.on_conflict_do_update(index_elements=["batch_id", "run_id"], set_=values))


def end(connection: Connection, batch_id: str, now: datetime) -> None:
    """Write down that every run of a batch was replayed."""
    table = tables.replay_batches
    connection.execute(update(table).where(table.c.batch_id == batch_id).values(ended_at=now))


def spent(connection: Connection, run_ids: Sequence[str]) -> Mapping[str, int]:
    """Give what the attempts of runs were charged that were made and not played, by run (nano-USD)."""
    calls = tables.calls
    found: dict[str, int] = {}
    for start in range(0, len(run_ids), 500):
        some = run_ids[start : start + 500]
        total = func.sum(calls.c.charged_nano_usd)
        live = or_(calls.c.cost_source.is_(None), calls.c.cost_source != "recorded")
        query = select(calls.c.run_id, total).where(calls.c.run_id.in_(some), live).group_by(calls.c.run_id)
        found |= {run_id: int(amount) for run_id, amount in connection.execute(query)}
    return found

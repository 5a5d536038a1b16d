"""Units: the runs, calls and scores of a time, each with its value and what it can be told apart by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, select

from engine.records import RunStatus
from engine.reports.dimensions import is_last_outcome, model_name
from engine.store.origins import NO_TRAFFIC
from engine.store.samples import NOT_OVER, SCORED
from engine.store.tables import calls, outcomes, runs, samples, scores, verdicts

MOST = 20_000
"""How many units of a time are looked at, the newest."""

_OF_RUNS: dict[str, ColumnElement[Any]] = {
    "workflow": runs.c.workflow,
    "version": runs.c.version,
    "tenant": runs.c.tenant,
    "user": runs.c.user_id,
}
_OF_CALLS: dict[str, ColumnElement[Any]] = {"tool": calls.c.tool_name, "model": model_name, "node": calls.c.node_name}
WHERE = (*_OF_RUNS, *_OF_CALLS)
"""What units can be restricted to, and told apart by."""

_OVER = [status for status in RunStatus if status not in NOT_OVER]
_ENDED = ("ok", "failed", "unknown")
_FAILED = case((calls.c.status == "ok", 0.0), else_=1.0)
_SECONDS_OF_CALL = calls.c.duration_ns / 1e9
_SECONDS_OF_RUN = runs.c.duration_ns / 1e9
_USD = func.coalesce(runs.c.cost_nano_usd, 0) / 1e9
_STOPPED = exists().where(verdicts.c.run_id == runs.c.run_id, verdicts.c.action == "block")


@dataclass(frozen=True, slots=True)
class Unit:
    """A run, a call or a score.

    Attributes:
        parts: what it can be told apart by, with its value of each.
        weight: for how many of its kind it stands.
        extra: whether its run was a success, where that counts.
    """

    run_id: str
    value: float
    parts: Mapping[str, Any]
    weight: float = 1.0
    extra: float = 0.0


def units(
    connection: Connection,
    kind: str,
    where: Mapping[str, str],
    of: str | None,
    since: datetime,
    until: datetime,
    most: int = MOST,
) -> list[Unit]:
    """Give the units of a kind that began in a time, the newest first.

    Kinds: call failures, tool failures, call seconds, run seconds, run failures, outcomes, usd, scores, stopped.
    """
    named = {**_OF_RUNS, **(_OF_CALLS if "call" in kind or "tool" in kind else {})}
    query = _selected(kind, of, [column.label(f"by_{name}") for name, column in named.items()])
    query = query.where(runs.c.started_at >= since, runs.c.started_at < until, runs.c.origin.not_in(NO_TRAFFIC))
    for name, value in where.items():
        column = {**_OF_RUNS, **_OF_CALLS}[name]
        query = query.where(column.startswith(value, autoescape=True) if name == "version" else column == value)
    found = connection.execute(query.order_by(runs.c.started_at.desc(), runs.c.run_id).limit(most)).mappings()
    return [
        Unit(
            row["run_id"],
            float(row["value"]),
            {name: row[f"by_{name}"] for name in named},
            float(row.get("weight", 1.0)),
            float(row.get("extra") or 0.0),
        )
        for row in found
    ]


def _selected(kind: str, of: str | None, columns: Sequence[Any]) -> Select[Any]:
    def having(value: Any, *more: Any) -> Any:
        return select(runs.c.run_id, value.label("value"), *more, *columns)

    if kind in ("call failures", "tool failures", "call seconds"):
        return _calls(kind, having)
    over = runs.c.status.in_(_OVER)  # the index over status and beginning is used by it
    success = case((outcomes.c.success.is_(True), 1.0), else_=0.0).label("extra")
    query: Any
    if kind == "run seconds":
        query = having(_SECONDS_OF_RUN).where(over, runs.c.duration_ns.is_not(None))
    elif kind == "run failures":
        query = having(case((runs.c.status == RunStatus.SUCCEEDED, 0.0), else_=1.0)).where(over)
    elif kind == "stopped":
        query = having(case((_stopped_by(of), 1.0), else_=0.0)).where(over)
    elif kind == "outcomes":
        query = having(case((outcomes.c.success.is_(True), 0.0), else_=1.0))
        query = query.select_from(runs.join(outcomes, is_last_outcome())).where(over, outcomes.c.success.is_not(None))
    elif kind == "scores":
        drawn = samples.join(runs, runs.c.run_id == samples.c.run_id)
        query = having(1 - scores.c.score, (1 / samples.c.rate).label("weight"))
        query = query.select_from(drawn.join(scores, scores.c.run_id == runs.c.run_id))
        said = and_(scores.c.evaluator == of, scores.c.score.is_not(None), scores.c.experiment_id.is_(None))
        query = query.where(samples.c.state == SCORED, samples.c.rate > 0, said)
    else:
        query = having(_USD, success).select_from(runs.join(outcomes, is_last_outcome(), isouter=True)).where(over)
    return query


def _calls(kind: str, having: Callable[..., Any]) -> Select[Any]:
    query = having(_SECONDS_OF_CALL if kind == "call seconds" else _FAILED)
    query = query.select_from(runs.join(calls, calls.c.run_id == runs.c.run_id))
    query = query.where(runs.c.status.in_(list(RunStatus)), calls.c.status.in_(_ENDED))
    if kind == "call seconds":
        return query.where(calls.c.status == "ok", calls.c.duration_ns.is_not(None))
    return query.where(calls.c.tool_name.is_not(None)) if kind == "tool failures" else query


def _stopped_by(guardrail: str | None) -> ColumnElement[bool]:
    return _STOPPED if guardrail is None else _STOPPED.where(verdicts.c.guardrail == guardrail)

"""What costs can be added up by: columns of runs and calls, times, outcomes, and what a call went on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, case, exists, func, literal, or_, select

from engine.records import RunStatus
from engine.store.cost_versions import RECORDED
from engine.store.tables import call_costs, calls, outcomes, runs, steps

WASTED = ("failed run", "retry", "fallback", "failed call", "rejected")
"""What a call can go on that helped nobody; see `_use`."""

_LOST = (RunStatus.FAILED, RunStatus.BLOCKED, RunStatus.BUDGET_EXCEEDED, RunStatus.CANCELLED)
_TIMES = {"hour": ("%Y-%m-%d %H:00", "YYYY-MM-DD HH24:00"), "day": ("%Y-%m-%d", "YYYY-MM-DD")}
_TIMES["month"] = ("%Y-%m", "YYYY-MM")
model_name: ColumnElement[Any] = func.coalesce(calls.c.response_model, calls.c.request_model)

OF_RUNS = ("workflow", "version", "tenant", "user", "status", "outcome", "batch", "schedule", *_TIMES)
OF_CALLS = ("node", "model", "provider", "use")
DIMENSIONS = (*OF_RUNS[:2], *OF_CALLS, *OF_RUNS[2:])
"""The names; a call without the dimension (a tool has no model) counts under None."""


def is_last_outcome() -> ColumnElement[bool]:
    """Say which outcome was said last of each run, so that a run counts once however often something was said of it."""
    later = outcomes.alias("later_outcome")
    is_not_last = exists().where(later.c.run_id == outcomes.c.run_id, later.c.id > outcomes.c.id)
    return and_(outcomes.c.run_id == runs.c.run_id, ~is_not_last)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a call costs, by what was recorded or by a cost version."""

    nano_usd: ColumnElement[Any]
    joined_on: ColumnElement[bool] | None = None
    table: FromClause = call_costs

    @classmethod
    def of(cls, version: "int | ColumnElement[int]") -> "Costs":
        """Give the newest cost of each call up to a version, which is the recorded one where there is none."""
        if isinstance(version, int) and version == RECORDED:
            return cls(calls.c.cost_nano_usd)
        older = call_costs.alias("older")
        newest = select(func.max(older.c.version)).where(
            older.c.run_id == calls.c.run_id, older.c.call_id == calls.c.call_id, older.c.version <= version
        )
        anew = and_(
            call_costs.c.run_id == calls.c.run_id,
            call_costs.c.call_id == calls.c.call_id,
            call_costs.c.version == newest.scalar_subquery(),
        )
        is_there = call_costs.c.version.is_not(None)
        return cls(case((is_there, call_costs.c.cost_nano_usd), else_=calls.c.cost_nano_usd), anew)


def dimensions(*, is_sqlite: bool, time: ColumnElement[Any] = runs.c.started_at) -> Mapping[str, ColumnElement[Any]]:
    """Give what stands for each dimension on a database; `time`, in UTC and as text, is that of hours, days, months."""
    columns: dict[str, ColumnElement[Any]] = {
        "workflow": runs.c.workflow,
        "version": runs.c.version,
        "tenant": runs.c.tenant,
        "user": runs.c.user_id,
        "status": runs.c.status,
        "outcome": outcomes.c.name,
        "batch": runs.c.batch_id,
        "schedule": runs.c.schedule,
        "node": calls.c.node_name,
        "model": model_name,
        "provider": calls.c.provider_name,
        "use": _use(),
    }
    for name, (sqlite, postgresql) in _TIMES.items():
        columns[name] = (
            func.strftime(sqlite, time) if is_sqlite else func.to_char(func.timezone("UTC", time), postgresql)
        )
    return columns


def _use() -> ColumnElement[Any]:
    """Say what a call went on: the first of these that is true, so that no cost counts twice.

    failed run: its run ended without a result · retry, fallback: the attempt failed, and the same model, or another
    one or node, was asked instead · failed call: it failed, and nobody was · rejected: it asked again since an answer
    had been turned down · fallback: it was of a step that another node took over · else what the call was made for.
    """
    later = calls.alias("later")
    went_on = and_(
        later.c.run_id == calls.c.run_id,
        later.c.step_id == calls.c.step_id,
        later.c.ordinal == calls.c.ordinal,
        later.c.attempt > calls.c.attempt,
    )
    same = func.coalesce(later.c.request_model, "") == func.coalesce(calls.c.request_model, "")
    taken_over = exists().where(
        steps.c.run_id == calls.c.run_id, steps.c.step_id == calls.c.step_id, steps.c.fallback_to.is_not(None)
    )
    failed = calls.c.status.not_in(("ok", "in_flight"))
    return case(
        (calls.c.call_id.is_(None), literal(None)),
        (runs.c.status.in_(_LOST), literal("failed run")),
        (and_(failed, exists().where(went_on, same)), literal("retry")),
        (and_(failed, or_(exists().where(went_on), taken_over)), literal("fallback")),
        (failed, literal("failed call")),
        (calls.c.purpose == "reask", literal("rejected")),
        (taken_over, literal("fallback")),
        else_=func.coalesce(calls.c.purpose, literal("answer")),
    )

"""How well calls go: how long they take, how often they fail, and what they use, each with how sure that is."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, select

from engine.errors import InputError
from engine.eval_records import IMPORT
from engine.replay_records import REPLAY
from engine.reports.dimensions import model_name
from engine.reports.newest import Newest, newest
from engine.statistics.intervals import Interval, quantile, quantile_interval, wilson
from engine.store.ledger import SqlLedger
from engine.store.origins import NO_TRAFFIC
from engine.store.tables import breakers, calls, queue_entries, runs, steps, verdicts

MOST_CALLS = 50_000
"""How many calls are looked at: those of the newest runs."""

_ENDED = ("ok", "failed", "unknown")
_POINTS = 24
_QUANTILES = (0.5, 0.95, 0.99)
GROUPS: dict[str, ColumnElement[Any]] = {
    "node": calls.c.node_name,
    "tool": calls.c.tool_name,
    "model": model_name,
    "version": runs.c.version,
    "workflow": runs.c.workflow,
    "operation": calls.c.operation_name,
    "origin": runs.c.origin,
}
"""What calls can be told apart by: `origin` shows those of experiments and judges, too, which are else left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRow:
    """Calls of one group.

    Attributes:
        dimensions: what the group has in common, by name.
        calls: attempts that have ended, and those that `failed`.
        seconds: how long half, 95 % and 99 % of those that were answered took at the most, each with where it lies.
        cached_tokens: the share of input tokens that providers read from their caches; None without input tokens.
        unpriced: attempts of unknown cost.
    """

    dimensions: dict[str, Any]
    calls: int
    failed: int
    seconds: dict[str, tuple[float, Interval]]
    input_tokens: int
    output_tokens: int
    cached_tokens: float | None
    nano_usd: int
    unpriced: int

    @property
    def failure(self) -> Interval:
        """Where the share of attempts that fail lies (95 %)."""
        return wilson(self.failed, self.calls)

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        plain = {name: value for name, value in asdict(self).items() if name not in ("dimensions", "seconds")}
        took = {name: {"value": value, "interval": ends.to_json()} for name, (value, ends) in self.seconds.items()}
        return {**self.dimensions, **plain, "failure_interval": self.failure.to_json(), "seconds": took}


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPoint:
    """Calls of the runs that began in one part of the time.

    Attributes:
        at: when that part begins.
        seconds: as in a row; empty if no call was answered.
    """

    at: datetime
    calls: int
    failed: int
    seconds: dict[str, float]
    tokens: int
    nano_usd: int

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {**asdict(self), "at": self.at.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How well everything goes.

    Attributes:
        rows: calls by group, those that fail most first.
        calls: attempts that were looked at.
        since: from when on runs were looked at; later than was asked if `is_sample`, as there were too many.
        points: the same calls by when their runs began, in 24 parts of the time.
        hours: the time over which they began.
        runs: by status.
        guardrails: what they did, by guardrail and action.
        fallbacks: steps that another node took over.
        cached_steps: the share of steps that came from the cache; None without steps.
        open_breakers: targets that are left alone now.
        queue_lag: seconds for which the run has been due that has waited the longest; None if nothing is due.
    """

    rows: Sequence[HealthRow]
    points: Sequence[HealthPoint]
    calls: int
    since: datetime
    is_sample: bool
    hours: float
    runs: dict[str, int]
    guardrails: dict[str, int]
    fallbacks: int
    cached_steps: float | None
    open_breakers: Sequence[str]
    queue_lag: float | None

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("rows", "points")}
        rows, points = [[one.to_json() for one in those] for those in (self.rows, self.points)]
        return {**plain, "since": self.since.isoformat(), "rows": rows, "points": points}


async def health(ledger: SqlLedger, by: Sequence[str], *, since: datetime, now: datetime) -> Health:
    """Look at the runs that began since a moment, or at the newest of them; replays and imports called nobody here.

    Raises:
        InputError: a group is not known, or named twice.
    """
    unknown = [name for name in by if name not in GROUPS]
    if unknown or not by or len(set(by)) < len(by):
        raise InputError(f"--by {','.join(by) or 'nothing'}: calls are told apart by {', '.join(GROUPS)}, each once")

    is_meant = runs.c.origin.not_in((REPLAY, IMPORT) if "origin" in by else NO_TRAFFIC)
    found = await ledger.read(lambda connection: _read(connection, by, since, is_meant))
    return _health(found, by, now)  # the database waits no longer


def _calls(by: Sequence[str], those: ColumnElement[bool]) -> Select[Any]:
    columns = (
        runs.c.started_at,
        calls.c.status,
        calls.c.duration_ns,
        calls.c.usage_input_tokens,
        calls.c.usage_output_tokens,
        calls.c.usage_cache_read_input_tokens,
        calls.c.cost_nano_usd,
    )
    return (
        select(*(GROUPS[name].label(f"by_{name}") for name in by), *columns)
        .select_from(runs.join(calls, calls.c.run_id == runs.c.run_id))
        .where(those, calls.c.status.in_(_ENDED))
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """What the ledger says of the runs that are looked at."""

    reach: Newest
    calls: Sequence[Any]
    statuses: Sequence[Any]
    told: Sequence[Any]
    steps: Any
    open_breakers: Sequence[str]
    first_due: datetime | None


def _read(connection: Connection, by: Sequence[str], since: datetime, is_meant: ColumnElement[bool]) -> _Read:
    reach = newest(connection, MOST_CALLS, since, is_meant)
    those = and_(runs.c.started_at >= reach.since, is_meant)
    said = select(verdicts.c.guardrail, verdicts.c.action, func.count()).join(runs, runs.c.run_id == verdicts.c.run_id)
    left = select(breakers.c.target).where(breakers.c.state != "closed").order_by(breakers.c.target)
    return _Read(
        reach=reach,
        calls=connection.execute(_calls(by, those)).all(),
        statuses=connection.execute(select(runs.c.status, func.count()).where(those).group_by(runs.c.status)).all(),
        told=connection.execute(said.where(those).group_by(verdicts.c.guardrail, verdicts.c.action)).all(),
        steps=connection.execute(_steps(those)).one(),
        open_breakers=connection.scalars(left).all(),
        first_due=connection.scalar(select(func.min(queue_entries.c.available_at))),
    )


def _health(found: _Read, by: Sequence[str], now: datetime) -> Health:
    groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for one in found.calls:
        groups[tuple(one[: len(by)])].append(one)
    rows = [_row(dict(zip(by, key, strict=True)), those) for key, those in groups.items()]
    since, first_due, visited = found.reach.since, found.first_due, int(found.steps.visited)
    return Health(
        rows=sorted(rows, key=lambda row: (-row.failure.low, -row.calls)),
        points=_points(found.calls, since, now),
        calls=len(found.calls),
        since=since,
        is_sample=not found.reach.is_all,
        hours=(now - since).total_seconds() / 3600,
        runs={str(status): int(many) for status, many in found.statuses},
        guardrails={f"{guardrail} {action}": int(many) for guardrail, action, many in found.told},
        fallbacks=int(found.steps.taken_over or 0),
        cached_steps=int(found.steps.cached or 0) / visited if visited else None,
        open_breakers=found.open_breakers,
        queue_lag=None if first_due is None or first_due > now else (now - first_due).total_seconds(),
    )


def _steps(those: ColumnElement[bool]) -> Select[Any]:
    counts: list[ColumnElement[Any]] = [
        func.count().label("visited"),
        func.sum(case((steps.c.cached.is_(True), 1), else_=0)).label("cached"),
        func.sum(case((steps.c.fallback_to.is_not(None), 1), else_=0)).label("taken_over"),
    ]
    return select(*counts).select_from(steps.join(runs, runs.c.run_id == steps.c.run_id)).where(those)


def _points(found: Sequence[Any], since: datetime, now: datetime) -> list[HealthPoint]:
    part = (now - since) / _POINTS
    parts: list[list[Any]] = [[] for _ in range(_POINTS)]
    for one in found:
        parts[max(0, min(_POINTS - 1, (one.started_at - since) // part if part else 0))].append(one)
    return [_point(since + part * place, those) for place, those in enumerate(parts)]


def _point(at: datetime, those: Sequence[Any]) -> HealthPoint:
    took = _took(those)
    return HealthPoint(
        at=at,
        calls=len(those),
        failed=sum(one.status != "ok" for one in those),
        seconds={f"p{share * 100:g}": quantile(took, share) for share in _QUANTILES} if took else {},
        tokens=sum((one.usage_input_tokens or 0) + (one.usage_output_tokens or 0) for one in those),
        nano_usd=sum(one.cost_nano_usd or 0 for one in those),
    )


def _took(those: Sequence[Any]) -> list[float]:
    return sorted(one.duration_ns / 1e9 for one in those if one.status == "ok" and one.duration_ns is not None)


def _row(dimensions: dict[str, Any], those: Sequence[Any]) -> HealthRow:
    took = _took(those)
    read = sum(one.usage_input_tokens or 0 for one in those)
    cached = sum(one.usage_cache_read_input_tokens or 0 for one in those)
    return HealthRow(
        dimensions=dimensions,
        calls=len(those),
        failed=sum(one.status != "ok" for one in those),
        seconds={f"p{share * 100:g}": (quantile(took, share), quantile_interval(took, share)) for share in _QUANTILES}
        if took
        else {},
        input_tokens=read,
        output_tokens=sum(one.usage_output_tokens or 0 for one in those),
        cached_tokens=cached / read if read else None,
        nano_usd=sum(one.cost_nano_usd or 0 for one in those),
        unpriced=sum(one.cost_nano_usd is None for one in those),
    )

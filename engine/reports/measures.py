"""Measures: the figures that alarms watch, each with where it lies, of how many, and runs that show it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from engine.reports.drift import input_drift, score_drift
from engine.reports.units import Unit, units
from engine.statistics.intervals import Interval, clustered_mean, quantile, quantile_interval, ratio_interval, wilson
from engine.statistics.weighted import weighted_mean
from engine.store.ledger import SqlLedger
from engine.store.tables import queue_entries

MOST_RUNS = 10
"""How many runs are named that show a figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A figure.

    Attributes:
        value: None where there is nothing to measure.
        interval: where it lies (95 %); None for a figure that is counted and not estimated.
        many: of how many units.
        runs: ids of runs that show it, the plainest first.
    """

    value: float | None = None
    interval: Interval | None = None
    many: int = 0
    runs: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is measured.

    Attributes:
        metric: one of METRICS.
        where: what it is restricted to, as in {"workflow": "ask", "tool": "pay"}.
        of: the evaluator of scores, or the guardrail.
        since: units that began from then on; what is before, from `baseline` on, is what they are compared with.
    """

    metric: str
    baseline: datetime
    since: datetime
    until: datetime
    where: Mapping[str, str] = field(default_factory=dict[str, str])
    of: str | None = None


_KINDS: dict[str, tuple[str, Callable[[Sequence[Unit], timedelta], Measurement]]] = {}


def _measure(metric: str, kind: str) -> Callable[..., Callable[[Sequence[Unit], timedelta], Measurement]]:
    def keep(function: Callable[[Sequence[Unit], timedelta], Measurement]) -> Callable[..., Measurement]:
        _KINDS[metric] = (kind, function)
        return function

    return keep


@_measure("call_failure_rate", "call failures")
@_measure("tool_failure_rate", "tool failures")
@_measure("run_failure_rate", "run failures")
@_measure("bad_outcome_rate", "outcomes")
@_measure("guard_block_rate", "stopped")
def _share(found: Sequence[Unit], _: timedelta) -> Measurement:
    bad = [unit.run_id for unit in found if unit.value]
    return Measurement(
        value=len(bad) / len(found), interval=wilson(len(bad), len(found)), many=len(found), runs=_some(bad)
    )


@_measure("success_rate", "run failures")
@_measure("outcome_rate", "outcomes")
def _success(found: Sequence[Unit], window: timedelta) -> Measurement:
    bad = _share(found, window)
    ends = bad.interval or Interval(0.0, 1.0)
    turned = Interval(1 - ends.high, 1 - ends.low)
    return Measurement(value=1 - (bad.value or 0.0), interval=turned, many=bad.many, runs=bad.runs)


@_measure("call_p95_seconds", "call seconds")
@_measure("run_p95_seconds", "run seconds")
def _p95(found: Sequence[Unit], _: timedelta) -> Measurement:
    took = sorted(unit.value for unit in found)
    ends = quantile_interval(took, 0.95)
    return Measurement(value=quantile(took, 0.95), interval=ends, many=len(took), runs=_largest(found))


@_measure("usd_per_run", "usd")
def _mean(found: Sequence[Unit], _: timedelta) -> Measurement:
    mean = clustered_mean([unit.value for unit in found])
    return Measurement(value=mean.value, interval=mean.interval(), many=len(found), runs=_largest(found))


@_measure("usd_per_success", "usd")
def _per_success(found: Sequence[Unit], _: timedelta) -> Measurement:
    successes = sum(unit.extra for unit in found)
    if not successes:
        return Measurement(many=len(found))
    value = math.fsum(unit.value for unit in found) / successes
    ends = ratio_interval([(unit.value, unit.extra) for unit in found])
    return Measurement(value=value, interval=ends, many=len(found), runs=_largest(found))


@_measure("usd_per_hour", "usd")
def _per_hour(found: Sequence[Unit], window: timedelta) -> Measurement:
    value = math.fsum(unit.value for unit in found) / (window.total_seconds() / 3600)
    return Measurement(value=value, many=len(found), runs=_largest(found))


@_measure("score", "scores")
def _score(found: Sequence[Unit], _: timedelta) -> Measurement:
    mean = weighted_mean([1 - unit.value for unit in found], [unit.weight for unit in found])
    return Measurement(value=mean.value, interval=mean.interval(), many=mean.many, runs=_largest(found))


METRICS = (*_KINDS, "score_drift", "input_drift", "queue_lag_seconds")
"""What can be measured."""


def kind_of(metric: str) -> str | None:
    """Say which units a metric is made of; None for one that is made of none, as the lag of the queue."""
    return "scores" if metric == "score_drift" else _KINDS[metric][0] if metric in _KINDS else None


async def measure(ledger: SqlLedger, wanted: Wanted) -> Measurement:
    """Measure a figure.

    Raises:
        StoreError: the database refused.
    """
    if wanted.metric == "input_drift":
        return await _input_drift(ledger, wanted)
    return await ledger.read(lambda connection: _measured(connection, wanted))


def _measured(connection: Connection, wanted: Wanted) -> Measurement:
    if wanted.metric == "queue_lag_seconds":
        return _queue_lag(connection, wanted.until)
    if wanted.metric == "score_drift":
        return _score_drift(connection, wanted)
    kind, figure = _KINDS[wanted.metric]
    found = units(connection, kind, wanted.where, wanted.of, wanted.since, wanted.until)
    return figure(found, wanted.until - wanted.since) if found else Measurement()


def _queue_lag(connection: Connection, now: datetime) -> Measurement:
    query = select(queue_entries.c.run_id, queue_entries.c.available_at).where(queue_entries.c.available_at <= now)
    first = connection.execute(query.order_by(queue_entries.c.available_at).limit(MOST_RUNS)).all()
    due = connection.scalar(select(func.count()).where(queue_entries.c.available_at <= now)) or 0
    lag = (now - first[0].available_at).total_seconds() if first else 0.0
    return Measurement(value=lag, many=due, runs=[row.run_id for row in first])


def _score_drift(connection: Connection, wanted: Wanted) -> Measurement:
    found = score_drift(
        connection,
        wanted.of or "",
        wanted.where["workflow"],
        baseline=wanted.baseline,
        since=wanted.since,
        until=wanted.until,
        version=wanted.where.get("version", ""),
    )
    if found is None:
        return Measurement()
    return Measurement(value=max(found.change.up, found.change.down), many=found.many, runs=found.runs[:MOST_RUNS])


async def _input_drift(ledger: SqlLedger, wanted: Wanted) -> Measurement:
    times = {"baseline": wanted.baseline, "since": wanted.since, "until": wanted.until}
    found = await input_drift(ledger, wanted.where["workflow"], **times)
    if found is None:
        return Measurement()
    apart = found.apart
    beyond = Interval(max(0.0, apart.distance - apart.by_chance), apart.distance)  # chance alone explains the rest
    return Measurement(value=apart.distance, interval=beyond, many=found.many, runs=found.runs)


def _some(run_ids: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(run_ids))[:MOST_RUNS]


def _largest(found: Sequence[Unit]) -> list[str]:
    return _some([unit.run_id for unit in sorted(found, key=lambda unit: -unit.value)[: MOST_RUNS * 5]])

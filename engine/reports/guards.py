"""What guardrails did in runs: how often each spoke, where, what came of it, and what they took."""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, literal, literal_column, select

from engine.store.ledger import SqlLedger
from engine.store.tables import calls, guard_times, questions, runs, verdicts

_ASKS = "require_approval"
SHADOW = "in shadow, would "
"""How the reason of a verdict begins that nobody heeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRow:
    """What one guardrail did at one stage.

    Attributes:
        fires: its verdicts; `shadow` of them were only written down, of what would have changed or stopped something.
        overridden: how often it asked for a person who then said yes against it; `upheld`, who said no. Both are 0 but
            for the action `require_approval`.
        runs: the runs in which it spoke; `succeeded` of them came to a good end all the same.
    """

    guardrail: str
    stage: str
    action: str
    fires: int
    shadow: int
    runs: int
    succeeded: int
    overridden: int = 0
    upheld: int = 0

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON."""
        return asdict(self)


async def guards(ledger: SqlLedger, *, since: datetime | None = None) -> list[GuardRow]:
    """Give what every guardrail did, by stage and action, in the runs that began since."""
    return await ledger.read(lambda connection: _guards(connection, since))


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardCost:
    """What one guardrail took: time, and money for its judge.

    Attributes:
        checks: how often it looked; of a process that was killed they are not known.
        p50_ms, p95_ms: what a check took with its classifier and judge, to two digits; None where none is known.
        judged: requests to its judge, of which `cost_unknown` have no known price; `judge_usd` is what the others cost.
    """

    guardrail: str
    checks: int
    p50_ms: float | None
    p95_ms: float | None
    judged: int = 0
    judge_usd: float = 0.0
    cost_unknown: int = 0

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON."""
        return asdict(self)


async def guard_costs(ledger: SqlLedger, *, since: datetime | None = None) -> list[GuardCost]:
    """Give what every guardrail took in the runs that began since, also those that found nothing."""
    return await ledger.read(lambda connection: _costs(connection, since))


def _costs(connection: Connection, since: datetime | None) -> list[GuardCost]:
    times, cost = guard_times.c, calls.c.cost_nano_usd
    took = (
        select(times.guardrail, times.duration_ns, func.sum(times.checks).label("checks"))
        .join(runs, runs.c.run_id == times.run_id)
        .group_by(times.guardrail, times.duration_ns)
        .order_by(times.guardrail, times.duration_ns)
    )
    judged = (
        select(
            calls.c.prompt_name.label("guardrail"),
            func.count().label("judged"),
            func.coalesce(func.sum(cost), 0).label("cost"),
            func.sum(case((cost.is_(None), 1), else_=0)).label("unknown"),
        )
        .join(runs, runs.c.run_id == calls.c.run_id)
        .where(calls.c.purpose == literal_column("'guard'"))  # as its index says it
        .group_by(calls.c.prompt_name)
    )
    if since is not None:
        took, judged = (query.where(runs.c.started_at >= since) for query in (took, judged))
    checks: dict[str, list[tuple[int, int]]] = {}
    for row in connection.execute(took):
        checks.setdefault(row.guardrail, []).append((row.duration_ns, int(row.checks)))
    judges = {row.guardrail: row for row in connection.execute(judged)}
    return [_cost(name, checks.get(name, []), judges.get(name)) for name in sorted({*checks, *judges})]


def _cost(name: str, times: list[tuple[int, int]], judge: Any) -> GuardCost:
    return GuardCost(
        guardrail=name,
        checks=sum(checks for _, checks in times),
        p50_ms=_share_below(times, 0.5),
        p95_ms=_share_below(times, 0.95),
        judged=judge.judged if judge else 0,
        judge_usd=int(judge.cost) / 1e9 if judge else 0.0,
        cost_unknown=int(judge.unknown) if judge else 0,
    )


def _share_below(times: list[tuple[int, int]], share: float) -> float | None:
    """Give the milliseconds within which a share of checks was done; times come in order, each with how many."""
    left = share * sum(checks for _, checks in times)
    for duration, checks in times:
        left -= checks
        if left <= 0:
            return duration / 1e6
    return None


def _answers(connection: Connection, since: datetime | None) -> Counter[tuple[str, str, str]]:
    """Count what people answered to a guardrail that asked for them, by guardrail, stage and status."""
    at = verdicts.c.guardrail, verdicts.c.stage, questions.c.status
    asked_by = literal("the guardrail '") + verdicts.c.guardrail + literal("' says: %")
    same_step = (verdicts.c.run_id == questions.c.run_id) & (verdicts.c.step_id == questions.c.step_id)
    answered = (
        select(*at, func.count(questions.c.question_id.distinct()).label("times"))
        .join_from(questions, verdicts, same_step)
        .join(runs, runs.c.run_id == questions.c.run_id)
        .where(verdicts.c.action == _ASKS, questions.c.text.like(asked_by))
        .group_by(*at)
    )
    if since is not None:
        answered = answered.where(runs.c.started_at >= since)
    rows = connection.execute(answered)
    return Counter({(row.guardrail, row.stage, row.status): row.times for row in rows})


def _guards(connection: Connection, since: datetime | None) -> list[GuardRow]:
    at = verdicts.c.guardrail, verdicts.c.stage, verdicts.c.action
    is_shadow = case((verdicts.c.reason.startswith(SHADOW, autoescape=True), 1), else_=0)
    succeeded = case((runs.c.status == "succeeded", runs.c.run_id))
    asked = (
        select(
            *at,
            func.count().label("fires"),
            func.sum(is_shadow).label("shadow"),
            func.count(runs.c.run_id.distinct()).label("runs"),
            func.count(succeeded.distinct()).label("succeeded"),
        )
        .join_from(verdicts, runs, verdicts.c.run_id == runs.c.run_id)
        .group_by(*at)
        .order_by(*at)
    )
    if since is not None:
        asked = asked.where(runs.c.started_at >= since)
    answers = _answers(connection, since)
    return [
        GuardRow(
            overridden=answers[row.guardrail, row.stage, "answered"] if row.action == _ASKS else 0,
            upheld=answers[row.guardrail, row.stage, "refused"] if row.action == _ASKS else 0,
            guardrail=row.guardrail,
            stage=row.stage,
            action=row.action,
            fires=row.fires,
            shadow=int(row.shadow),
            runs=row.runs,
            succeeded=row.succeeded,
        )
        for row in connection.execute(asked)
    ]

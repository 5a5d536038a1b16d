"""What guardrails did in runs: how often each spoke, where, and what came of it."""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, literal, select

from engine.store.ledger import SqlLedger
from engine.store.tables import questions, runs, verdicts

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

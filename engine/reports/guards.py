"""What guardrails did in runs: how often each spoke, where, and what came of it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, select

from engine.store.ledger import SqlLedger
from engine.store.tables import runs, verdicts

SHADOW = "in shadow, would "
"""How the reason of a verdict begins that nobody heeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRow:
    """What one guardrail did at one stage.

    Attributes:
        fires: its verdicts; `shadow` of them were only written down.
        runs: the runs in which it spoke; `succeeded` of them came to a good end all the same.
    """

    guardrail: str
    stage: str
    action: str
    fires: int
    shadow: int
    runs: int
    succeeded: int

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON."""
        return asdict(self)


async def guards(ledger: SqlLedger, *, since: datetime | None = None) -> list[GuardRow]:
    """Give what every guardrail did, by stage and action, in the runs that began since."""
    return await ledger.read(lambda connection: _guards(connection, since))


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
    return [
        GuardRow(
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

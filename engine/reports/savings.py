"""What was not spent because an answer was there already."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import and_, case, func, select

from engine.reports.dimensions import Costs
from engine.store.cost_versions import RECORDED
from engine.store.ledger import SqlLedger
from engine.store.tables import calls, runs, steps
from engine.usage import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRow:
    """Steps of one node that were answered from a cache, and what they would have cost.

    Attributes:
        hits: steps that were answered from the cache, and `misses` steps that asked and succeeded.
        saved_usd: hits times the mean known cost of a miss; None where there was no miss to go by, or its cost is
            not known.
    """

    names: ClassVar = ("workflow", "node", "hits", "misses", "saved_usd")

    workflow: str
    node: str
    hits: int
    misses: int
    saved_usd: Decimal | None

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON; dollars are text."""
        saved = None if self.saved_usd is None else f"{self.saved_usd:f}"
        return {name: getattr(self, name) for name in self.names} | {"saved_usd": saved}


async def saved_by_cache(
    ledger: SqlLedger, *, since: datetime | None = None, until: datetime | None = None, cost_version: int = RECORDED
) -> list[SavedRow]:
    """Say for each node what its cache saved, by what its other steps cost; the node with most hits first."""
    costs = Costs.of(cost_version)
    joined = calls if costs.joined_on is None else calls.join(costs.table, costs.joined_on, isouter=True)
    unknown = func.sum(case((costs.nano_usd.is_(None), 1), else_=0))
    of_step = (
        select(calls.c.run_id, calls.c.step_id, func.sum(costs.nano_usd).label("nano_usd"), unknown.label("unknown"))
        .select_from(joined)
        .group_by(calls.c.run_id, calls.c.step_id)
        .subquery("of_step")
    )
    is_miss = and_(steps.c.cached.is_(False), steps.c.status == "ok")
    query = (
        select(
            runs.c.workflow,
            steps.c.node_name,
            func.sum(case((steps.c.cached, 1), else_=0)).label("hits"),
            func.sum(case((is_miss, 1), else_=0)).label("misses"),
            func.sum(case((is_miss, of_step.c.nano_usd))).label("nano_usd"),
            func.sum(case((is_miss, of_step.c.unknown))).label("unknown"),
        )
        .select_from(steps.join(runs, runs.c.run_id == steps.c.run_id))
        .join(of_step, and_(of_step.c.run_id == steps.c.run_id, of_step.c.step_id == steps.c.step_id), isouter=True)
        .group_by(runs.c.workflow, steps.c.node_name)
        .having(func.sum(case((steps.c.cached, 1), else_=0)) > 0)
        .order_by(func.sum(case((steps.c.cached, 1), else_=0)).desc(), runs.c.workflow, steps.c.node_name)
    )
    query = query if since is None else query.where(runs.c.started_at >= since)
    query = query if until is None else query.where(runs.c.started_at < until)
    rows: Sequence[Any] = await ledger.read(lambda connection: connection.execute(query).all())
    return [
        SavedRow(workflow=row.workflow, node=row.node_name, hits=row.hits, misses=row.misses, saved_usd=_saved(row))
        for row in rows
    ]


def _saved(row: Any) -> Decimal | None:
    if not row.misses or row.unknown:
        return None
    return to_usd(int(row.hits) * int(row.nano_usd or 0) // int(row.misses))

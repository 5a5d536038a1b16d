"""Where steps had a choice of models: which were asked, what that saved, and how the runs fared."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, func, select

from engine.records import RunStatus
from engine.reports.dimensions import is_last_outcome
from engine.store.ledger import SqlLedger
from engine.store.tables import calls, outcomes, runs, steps
from engine.usage import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRow:
    """One way through the models of one node.

    Attributes:
        route: the roles that were asked in turn, as in "small > large".
        steps: visits that went this way, and their `share` of the node's visits.
        nano_usd: what all calls of these steps cost, as far as it is known.
        saved_nano_usd: against asking the dearest of the roles each time; less than nothing where climbing cost more.
        reasked: visits whose answer was turned down behind the node.
        succeeded: visits in runs that succeeded.
        judged: visits in runs whose outcome somebody has said, and those of them in runs with a `success`.
    """

    workflow: str
    node: str
    route: str
    steps: int
    share: float
    nano_usd: int
    saved_nano_usd: int
    reasked: int
    succeeded: int
    judged: int
    success: int

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON."""
        return asdict(self) | {
            "cost_usd": f"{to_usd(self.nano_usd):f}",
            "saved_usd": f"{to_usd(self.saved_nano_usd):f}",
        }


@dataclass(frozen=True, slots=True)
class Savings:
    """What calls that were not made, or not of the dearest model, would have cost (nano-USD)."""

    cache: int
    routing: int


async def routes(ledger: SqlLedger, *, since: datetime | None = None) -> list[RouteRow]:
    """Give every route of every node that had a choice, node by node, the most frequent first."""
    return await ledger.read(lambda connection: _routes(connection, since))


async def savings(ledger: SqlLedger, *, since: datetime | None = None, until: datetime | None = None) -> Savings:
    """Add up what caches and the choice of models saved in the runs of a time."""
    return await ledger.read(lambda connection: _savings(connection, since, until))


def _routes(connection: Connection, since: datetime | None) -> list[RouteRow]:
    of_step = and_(calls.c.run_id == steps.c.run_id, calls.c.step_id == steps.c.step_id)
    cost = select(func.coalesce(func.sum(calls.c.cost_nano_usd), 0)).where(of_step).scalar_subquery()
    reasked = select(func.count()).where(of_step, calls.c.purpose == "reask").scalar_subquery()
    each = (
        select(
            runs.c.workflow,
            steps.c.node_name,
            steps.c.routed,
            steps.c.saved_nano_usd,
            cost.label("cost"),
            reasked.label("reasked"),
            runs.c.status,
            outcomes.c.id.label("outcome_id"),
            outcomes.c.success,
        )
        .select_from(
            steps.join(runs, runs.c.run_id == steps.c.run_id).join(
                outcomes, and_(outcomes.c.run_id == runs.c.run_id, is_last_outcome()), isouter=True
            )
        )
        .where(steps.c.routed.is_not(None), steps.c.status == "ok")
    )
    if since is not None:
        each = each.where(runs.c.started_at >= since)
    one = each.subquery()
    query = (
        select(
            one.c.workflow,
            one.c.node_name,
            one.c.routed,
            func.count().label("steps"),
            func.sum(one.c.cost).label("nano_usd"),
            func.coalesce(func.sum(one.c.saved_nano_usd), 0).label("saved_nano_usd"),
            _count(one.c.reasked > 0).label("reasked"),
            _count(one.c.status == RunStatus.SUCCEEDED).label("succeeded"),
            _count(one.c.success.is_not(None)).label("judged"),
            _count(one.c.success).label("success"),
        )
        .group_by(one.c.workflow, one.c.node_name, one.c.routed)
        .order_by(one.c.workflow, one.c.node_name, func.count().desc(), one.c.routed)
    )
    rows = connection.execute(query).all()
    whole: dict[tuple[str, str], int] = {}
    for row in rows:
        place = row.workflow, row.node_name
        whole[place] = whole.get(place, 0) + row.steps
    return [
        RouteRow(
            workflow=row.workflow,
            node=row.node_name,
            route=row.routed,
            share=row.steps / whole[row.workflow, row.node_name],
            **{name: int(getattr(row, name)) for name in _COUNTED},
        )
        for row in rows
    ]


_COUNTED = ("steps", "nano_usd", "saved_nano_usd", "reasked", "succeeded", "judged", "success")


def _count(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))


def _savings(connection: Connection, since: datetime | None, until: datetime | None) -> Savings:
    query = select(steps.c.cached, func.sum(steps.c.saved_nano_usd)).join_from(
        steps, runs, steps.c.run_id == runs.c.run_id
    )
    query = query.where(steps.c.saved_nano_usd.is_not(None)).group_by(steps.c.cached)
    query = query if since is None else query.where(runs.c.started_at >= since)
    query = query if until is None else query.where(runs.c.started_at < until)
    found = {bool(row[0]): int(row[1]) for row in connection.execute(query)}
    return Savings(cache=found.get(True, 0), routing=found.get(False, 0))

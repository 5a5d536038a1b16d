"""Where steps had a choice of models: which were asked, what that saved, and how the runs fared."""

from collections import Counter
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
    place = (runs.c.workflow, steps.c.node_name, steps.c.routed)
    had_a_choice = [steps.c.routed.is_not(None), steps.c.status == "ok"]
    had_a_choice += [] if since is None else [runs.c.started_at >= since]
    of_runs = steps.join(runs, runs.c.run_id == steps.c.run_id)
    visits = (
        select(
            *place,
            func.count().label("steps"),
            func.coalesce(func.sum(steps.c.saved_nano_usd), 0).label("saved_nano_usd"),
            _count(runs.c.status == RunStatus.SUCCEEDED).label("succeeded"),
            _count(outcomes.c.success.is_not(None)).label("judged"),
            _count(outcomes.c.success).label("success"),
        )
        .select_from(of_runs.join(outcomes, is_last_outcome(), isouter=True))
        .where(*had_a_choice)
        .group_by(*place)
        .order_by(*place[:2], func.count().desc(), steps.c.routed)
    )
    of_step = and_(calls.c.run_id == steps.c.run_id, calls.c.step_id == steps.c.step_id)
    asked_again = case((calls.c.purpose == "reask", steps.c.run_id + steps.c.step_id))
    asked = (
        select(
            *place,
            func.coalesce(func.sum(calls.c.cost_nano_usd), 0).label("nano_usd"),
            func.count(asked_again.distinct()).label("reasked"),
        )
        .select_from(of_runs.join(calls, of_step))
        .where(*had_a_choice)
        .group_by(*place)
    )
    rows = connection.execute(visits).all()
    spent = {tuple(row[:3]): row for row in connection.execute(asked)}
    whole: Counter[tuple[str, str]] = Counter()
    for row in rows:
        whole[row.workflow, row.node_name] += row.steps
    return [_row(row, whole[row.workflow, row.node_name], spent.get(tuple(row[:3]))) for row in rows]


def _row(visits: Any, of_node: int, asked: Any) -> RouteRow:
    counts = {name: int(getattr(visits, name)) for name in _COUNTED}
    return RouteRow(
        workflow=visits.workflow,
        node=visits.node_name,
        route=visits.routed,
        share=visits.steps / of_node,
        nano_usd=0 if asked is None else int(asked.nano_usd),
        reasked=0 if asked is None else asked.reasked,
        **counts,
    )


_COUNTED = ("steps", "saved_nano_usd", "succeeded", "judged", "success")


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

"""What a successful outcome costs: all that was spent, over the runs that did what they were for."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, FromClause, Select, String, Subquery, case, cast, func, select

from engine.errors import InputError
from engine.eval_records import JUDGE
from engine.reports.dimensions import Costs, dimensions, is_last_outcome
from engine.statistics.intervals import Interval, ratio_interval, wilson
from engine.store.cost_versions import RECORDED
from engine.store.ledger import SqlLedger
from engine.store.origins import FOR_NOBODY
from engine.store.tables import calls, outcomes, runs
from engine.usage import to_usd

GROUPS = ("workflow", "version", "tenant", "user", "hour", "day", "month")
"""What outcomes can be counted by."""

_MOST_RESAMPLED = 2_000  # units of all groups together: the bootstrap of more would take seconds
_PER = Decimal("1e-9")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """Outcomes and cost of one group of runs.

    Attributes:
        dimensions: what the group has in common, by name.
        runs: all of them, those whose outcome somebody has said (`judged`), and those whose last one is a `success`.
        share: where the share of successes among the judged lies.
        value: what the last outcomes are worth in all; None where nobody said.
        cost_usd: what all of the runs cost, those that failed and what judged them included; None if nothing is known.
        unpriced: calls of unknown cost, which are not part of it.
        per_success: where the cost of a success lies, in USD.
    """

    names: ClassVar = (
        *("runs", "judged", "successes", "success_rate", "success_rate_interval", "value", "cost_usd", "unpriced"),
        *("usd_per_success", "usd_per_success_interval"),
    )

    dimensions: dict[str, Any]
    runs: int
    judged: int
    successes: int
    value: float | None
    cost_usd: Decimal | None
    unpriced: int
    per_success: Interval

    @property
    def success_rate(self) -> float | None:
        """The share of successes among the runs whose outcome was said."""
        return self.successes / self.judged if self.judged else None

    @property
    def share(self) -> Interval:
        """Where that share lies (95 %)."""
        return wilson(self.successes, self.judged)

    @property
    def usd_per_success(self) -> Decimal | None:
        """The known cost over the successes; None without one, or if no cost is known."""
        if self.cost_usd is None or not self.successes:
            return None
        return (self.cost_usd / self.successes).quantize(_PER)

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON; dollars are text, so that nothing is rounded, but for the ends of an interval."""
        plain = {name: getattr(self, name) for name in ("runs", "judged", "successes", "success_rate", "value")}
        return {
            **self.dimensions,
            **plain,
            "success_rate_interval": self.share.to_json(),
            "cost_usd": None if self.cost_usd is None else f"{self.cost_usd:f}",
            "unpriced": self.unpriced,
            "usd_per_success": None if self.usd_per_success is None else f"{self.usd_per_success:f}",
            "usd_per_success_interval": self.per_success.to_json(),
        }


async def cost_per_outcome(
    ledger: SqlLedger,
    by: Sequence[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    cost_version: int = RECORDED,
) -> list[OutcomeRow]:
    """Add up outcomes and cost of the runs that people and systems asked for, the dearest group first.

    What judged a run counts as cost of that run; replays and experiments do not count. The interval is drawn by users
    where runs have them and groups do not, else by runs, since runs of one user go alike; it is a bootstrap where all
    groups together have up to 2,000 of these.

    Raises:
        InputError: a group is not known, or named twice.
    """
    unknown = [name for name in by if name not in GROUPS]
    if unknown or not by or len(set(by)) < len(by):
        named = ", ".join(unknown) or ("nothing" if not by else ",".join(by))
        raise InputError(f"--by {named}: outcomes are counted by {', '.join(GROUPS)}, each named once")
    query = _units(by, since, until, cost_version, is_sqlite=ledger.database.is_sqlite)
    units = await ledger.read(lambda connection: connection.execute(query).all())
    groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for unit in units:
        groups[tuple(unit[: len(by)])].append(unit)
    few = len(units) <= _MOST_RESAMPLED
    ordered = sorted(groups, key=lambda key: tuple((value is not None, value or "") for value in key))
    rows = [_row(dict(zip(by, key, strict=True)), groups[key], resampled=few) for key in ordered]
    return sorted(rows, key=lambda row: row.cost_usd or 0, reverse=True)


def _units(
    by: Sequence[str], since: datetime | None, until: datetime | None, cost_version: int, *, is_sqlite: bool
) -> Select[Any]:
    """Select each user, or run, of each group with what was spent and what came of it."""
    known = dimensions(is_sqlite=is_sqlite)
    groups = [known[name].label(f"by_{name}") for name in by]
    unit = runs.c.run_id if "user" in by else func.coalesce(runs.c.user_id, runs.c.run_id)
    spent = _spent(since, cost_version)
    query = (
        select(
            *groups,
            func.count().label("runs"),
            _count_where(outcomes.c.success.is_not(None)).label("judged"),
            _count_where(outcomes.c.success.is_(True)).label("successes"),
            func.sum(outcomes.c.value).label("value"),
            func.sum(spent.c.nano_usd).label("nano_usd"),
            func.coalesce(func.sum(spent.c.calls), 0).label("calls"),
            func.coalesce(func.sum(spent.c.unpriced), 0).label("unpriced"),
        )
        .select_from(
            runs.join(spent, spent.c.for_run == runs.c.run_id, isouter=True).join(
                outcomes, is_last_outcome(), isouter=True
            )
        )
        .where(runs.c.origin.not_in(FOR_NOBODY))
        .group_by(*groups, unit)
    )
    query = query if since is None else query.where(runs.c.started_at >= since)
    return query if until is None else query.where(runs.c.started_at < until)


def _spent(since: datetime | None, cost_version: int) -> Subquery:
    """Add up the calls of each run, and of the runs that judged it."""
    costs = Costs.of(cost_version)
    joined: FromClause = calls
    if costs.joined_on is not None:
        joined = joined.join(costs.table, costs.joined_on, isouter=True)
    caller = runs.alias("caller")
    each = select(
        calls.c.run_id,
        func.sum(costs.nano_usd).label("nano_usd"),
        func.count().label("calls"),
        _count_where(costs.nano_usd.is_(None)).label("unpriced"),
    ).select_from(joined)
    if since is not None:  # no call of an older run is read
        each = each.where(calls.c.run_id.in_(select(caller.c.run_id).where(caller.c.started_at >= since)))
    of_run = each.group_by(calls.c.run_id).subquery("of_run")  # the order in which they are stored: no sorting
    judged_or_self = case((caller.c.origin == JUDGE, caller.c.parent_run_id), else_=caller.c.run_id)
    for_run = cast(judged_or_self, String)  # SQLite indexes a derived table only by columns whose kind it knows
    summed = (func.sum(of_run.c[name]).label(name) for name in ("nano_usd", "calls", "unpriced"))
    query = select(for_run.label("for_run"), *summed).join_from(of_run, caller, caller.c.run_id == of_run.c.run_id)
    query = query if since is None else query.where(caller.c.started_at >= since)
    return query.group_by(for_run).subquery("spent")


def _count_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _row(dimensions: dict[str, Any], units: Sequence[Any], *, resampled: bool) -> OutcomeRow:
    total = dict.fromkeys(("runs", "judged", "successes", "calls", "unpriced", "nano_usd"), 0)
    pairs: list[tuple[float, float]] = []
    values: list[float] = []
    is_known = False
    for unit in units:
        nano_usd = int(unit.nano_usd or 0)
        total["runs"] += unit.runs
        total["judged"] += unit.judged
        total["successes"] += unit.successes
        total["calls"] += int(unit.calls)
        total["unpriced"] += int(unit.unpriced)
        total["nano_usd"] += nano_usd
        is_known = is_known or unit.nano_usd is not None
        pairs.append((nano_usd / 1e9, float(unit.successes)))
        if unit.value is not None:
            values.append(float(unit.value))
    is_known = is_known or not total["calls"]
    return OutcomeRow(
        dimensions=dimensions,
        runs=total["runs"],
        judged=total["judged"],
        successes=total["successes"],
        value=math.fsum(values) if values else None,
        cost_usd=to_usd(total["nano_usd"]) if is_known else None,
        unpriced=total["unpriced"],
        per_success=ratio_interval(pairs, resampled=resampled) if is_known else Interval(-math.inf, math.inf),
    )

"""What was spent, added up from the ledger by whatever asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Float, FromClause, Select, Subquery, case, cast, func, select

from engine.errors import InputError
from engine.records import RunStatus
from engine.reports.dimensions import DIMENSIONS, OF_CALLS, Costs, dimensions, is_last_outcome
from engine.reports.thinning import is_drawn, margin_of
from engine.store.cost_versions import RECORDED
from engine.store.ledger import SqlLedger
from engine.store.tables import calls, outcomes, runs
from engine.usage import to_usd

_PER = Decimal("1e-9")  # a quotient of dollars is rounded to nano-USD


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """Calls, tokens and cost of one group.

    Attributes:
        dimensions: what the group has in common, by name.
        runs: runs that have a part in the group, those that `succeeded`, and those whose last outcome is a `success`.
        failed: attempts that failed.
        unpriced: calls whose cost is not known; they are not part of `cost_usd`.
        cost_usd: the known cost; None when none of it is known.
        held_usd: what budgets were charged for the calls of unknown cost, where they knew a bound.
        one_in: of one run in how many it is made; above 1 every count and sum is an estimate.
        margin: half of the 95 % interval of the known cost, over that cost; 0 where every run was read, None where a
            sample found no cost.
    """

    names: ClassVar = (
        *("runs", "succeeded", "successes", "calls", "failed", "input_tokens", "output_tokens", "unpriced"),
        *("cost_usd", "held_usd", "usd_per_succeeded", "usd_per_success", "one_in", "margin"),
    )

    dimensions: dict[str, Any]
    runs: int
    succeeded: int
    successes: int
    calls: int
    failed: int
    input_tokens: int
    output_tokens: int
    unpriced: int
    cost_usd: Decimal | None
    held_usd: Decimal
    one_in: int = 1
    margin: float | None = 0.0

    @property
    def usd_per_succeeded(self) -> Decimal | None:
        """The known cost over the runs that succeeded; None without one, or if no cost is known."""
        return _per(self.cost_usd, self.succeeded)

    @property
    def usd_per_success(self) -> Decimal | None:
        """The known cost over the runs whose last outcome is a success; None without one, or if no cost is known."""
        return _per(self.cost_usd, self.successes)

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON; dollars are text, so that nothing is rounded."""
        return {**self.dimensions, **{name: _plain(getattr(self, name)) for name in self.names}}


@dataclass(frozen=True, slots=True)
class _Asked:
    """By what, and of which runs."""

    by: tuple[str, ...]
    since: datetime | None
    until: datetime | None
    run_id: str | None
    cost_version: int
    one_in: int

    @property
    def is_bounded(self) -> bool:
        return bool(self.conditions())

    def conditions(self, table: FromClause = runs) -> list[ColumnElement[bool]]:
        found = [] if self.since is None else [table.c.started_at >= self.since]
        found += [] if self.until is None else [table.c.started_at < self.until]
        found += [] if self.one_in == 1 else [is_drawn(table.c.run_id, self.one_in)]
        return found + ([] if self.run_id is None else [table.c.run_id == self.run_id])


async def cost_by(
    ledger: SqlLedger,
    by: Sequence[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    cost_version: int = RECORDED,
    run_id: str | None = None,
    one_in: int = 1,
) -> list[CostRow]:
    """Add up every attempt by some dimensions, the dearest group first.

    Runs without a call count in groups of runs, and not in groups of calls (node, model, provider, use).

    Args:
        ledger: what is read.
        by: names of dimensions.
        since: only runs that began since.
        until: only runs that began before.
        cost_version: whose costs are added up; a call that it does not tell of costs what older ones say.
        run_id: only this run.
        one_in: read one run in so many (2, 4 ... 256) and give what that comes to for all; see `thinned_to`.

    Raises:
        InputError: a dimension is not known, or named twice; the message names those that are.
    """
    unknown = [name for name in by if name not in DIMENSIONS]
    if unknown or not by:
        raise InputError(f"--by {', '.join(unknown) or 'nothing'}: the dimensions are {', '.join(DIMENSIONS)}")
    if len(set(by)) < len(by):
        raise InputError(f"--by {','.join(by)}: name each dimension once")
    asked = _Asked(tuple(by), since, until, run_id, cost_version, one_in)
    query = _added_up(asked, is_sqlite=ledger.database.is_sqlite)
    rows = await ledger.read(lambda connection: connection.execute(query).mappings().all())
    return [_row(row, asked) for row in rows]


def _of_runs(asked: _Asked, *, is_sqlite: bool) -> Subquery:
    """Add up the calls of each run, by what is asked for of calls: in the order in which they are stored."""
    costs = Costs.of(asked.cost_version)
    known = dimensions(is_sqlite=is_sqlite)
    groups = [calls.c.run_id, *(known[name].label(f"by_{name}") for name in asked.by if name in OF_CALLS)]
    joined: FromClause = calls
    if "use" in asked.by:
        joined = joined.join(runs, runs.c.run_id == calls.c.run_id)
    if costs.joined_on is not None:
        joined = joined.join(costs.table, costs.joined_on, isouter=True)
    unpriced = costs.nano_usd.is_(None)
    query = select(
        *groups,
        func.count().label("calls"),
        func.sum(case((calls.c.status == "failed", 1), else_=0)).label("failed"),
        func.sum(calls.c.usage_input_tokens).label("input_tokens"),
        func.sum(calls.c.usage_output_tokens).label("output_tokens"),
        func.sum(case((unpriced, 1), else_=0)).label("unpriced"),
        func.sum(case((unpriced, calls.c.charged_nano_usd), else_=0)).label("held"),
        func.sum(costs.nano_usd).label("nano_usd"),
    ).select_from(joined)
    if asked.is_bounded:  # the runs first, so that only their calls are read
        of_these = runs.alias("of_these")
        query = query.where(calls.c.run_id.in_(select(of_these.c.run_id).where(*asked.conditions(of_these))))
        query = query.where(*asked.conditions()) if "use" in asked.by else query
    return query.group_by(*groups).subquery("spent")


def _added_up(asked: _Asked, *, is_sqlite: bool) -> Select[Any]:
    """Add up runs with what their calls took; a run without a call counts where only runs are asked for."""
    spent = _of_runs(asked, is_sqlite=is_sqlite)
    known = dimensions(is_sqlite=is_sqlite)
    named = {name: spent.c[f"by_{name}"] if name in OF_CALLS else known[name] for name in asked.by}
    groups = [column.label(f"by_{name}") for name, column in named.items()]
    joined = runs.join(spent, spent.c.run_id == runs.c.run_id, isouter=not set(asked.by) & set(OF_CALLS))
    joined = joined.join(outcomes, is_last_outcome(), isouter=True)
    counted = ("calls", "failed", "input_tokens", "output_tokens", "unpriced", "held")
    cost = func.sum(spent.c.nano_usd)
    return (
        select(
            *groups,
            func.count().label("runs"),
            func.sum(case((runs.c.status == RunStatus.SUCCEEDED, 1), else_=0)).label("succeeded"),
            func.sum(case((outcomes.c.success.is_(True), 1), else_=0)).label("successes"),
            *(func.coalesce(func.sum(spent.c[name]), 0).label(name) for name in counted),
            cost.label("nano_usd"),
            func.sum(cast(spent.c.nano_usd, Float) * spent.c.nano_usd).label("squares"),
        )
        .select_from(joined)
        .where(*asked.conditions())
        .group_by(*groups)
        .order_by(func.coalesce(cost, 0).desc(), *groups)
    )


def _row(row: Any, asked: _Asked) -> CostRow:
    nano_usd = row["nano_usd"] if row["calls"] else 0  # where nothing was called, nothing was spent
    counted = ("runs", "succeeded", "successes", "calls", "failed", "input_tokens", "output_tokens", "unpriced")
    is_whole = asked.one_in == 1
    return CostRow(
        dimensions={name: row[f"by_{name}"] for name in asked.by},
        **{name: int(row[name]) * asked.one_in for name in counted},
        cost_usd=to_usd(None if nano_usd is None else int(nano_usd) * asked.one_in),
        held_usd=to_usd(int(row["held"]) * asked.one_in) or Decimal(0),
        one_in=asked.one_in,
        margin=0.0 if is_whole else margin_of(float(nano_usd or 0), float(row["squares"] or 0), asked.one_in),
    )


def _per(usd: Decimal | None, many: int) -> Decimal | None:
    return None if usd is None or not many else (usd / many).quantize(_PER)


def _plain(value: float | Decimal | None) -> float | str | None:
    return f"{value:f}" if isinstance(value, Decimal) else value

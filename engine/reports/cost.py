"""What was spent, added up from the ledger by whatever asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from engine.errors import InputError
from engine.store.ledger import SqlLedger
from engine.store.tables import calls, runs
from engine.usage import to_usd

DIMENSIONS: dict[str, ColumnElement[Any]] = {
    "workflow": runs.c.workflow,
    "version": runs.c.version,
    "node": calls.c.node_name,
    "model": func.coalesce(calls.c.response_model, calls.c.request_model),
    "provider": calls.c.provider_name,
    "tenant": runs.c.tenant,
    "user": runs.c.user_id,
    "status": runs.c.status,
    "day": func.date(runs.c.started_at),
}
"""What costs can be added up by; a call without the dimension (a tool has no model) counts under None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """Calls, tokens and cost of one group.

    Attributes:
        dimensions: what the group has in common, by name.
        failed: attempts that failed.
        unpriced: calls whose cost is not known; they are not part of `cost_usd`.
        cost_usd: the known cost; None when none of it is known.
    """

    dimensions: dict[str, Any]
    runs: int
    calls: int
    failed: int
    input_tokens: int
    output_tokens: int
    unpriced: int
    cost_usd: Decimal | None

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON; dollars are text, so that nothing is rounded."""
        return {
            **self.dimensions,
            "runs": self.runs,
            "calls": self.calls,
            "failed": self.failed,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "unpriced": self.unpriced,
            "cost_usd": None if self.cost_usd is None else f"{self.cost_usd:f}",
        }


async def cost_by(ledger: SqlLedger, by: Sequence[str], *, since: datetime | None = None) -> list[CostRow]:
    """Add up every attempt by some dimensions, the dearest group first.

    Raises:
        InputError: a dimension is not known; the message names those that are.
    """
    unknown = [name for name in by if name not in DIMENSIONS]
    if unknown or not by:
        raise InputError(f"--by {', '.join(unknown) or 'nothing'}: the dimensions are {', '.join(DIMENSIONS)}")
    groups = [DIMENSIONS[name].label(name) for name in by]
    cost = func.sum(calls.c.cost_nano_usd)
    query = (
        select(
            *groups,
            func.count(runs.c.run_id.distinct()).label("n_runs"),
            func.count(calls.c.call_id).label("n_calls"),
            func.sum(case((calls.c.status == "failed", 1), else_=0)).label("n_failed"),
            func.coalesce(func.sum(calls.c.usage_input_tokens), 0).label("n_input"),
            func.coalesce(func.sum(calls.c.usage_output_tokens), 0).label("n_output"),
            func.sum(case((calls.c.cost_nano_usd.is_(None), 1), else_=0)).label("n_unpriced"),
            cost.label("nano_usd"),
        )
        .join_from(calls, runs, calls.c.run_id == runs.c.run_id)
        .group_by(*groups)
        .order_by(func.coalesce(cost, 0).desc(), *groups)
    )
    if since is not None:
        query = query.where(runs.c.started_at >= since)
    rows = await ledger.read(lambda connection: connection.execute(query).mappings().all())
    return [
        CostRow(
            dimensions={name: row[name] for name in by},
            runs=row["n_runs"],
            calls=row["n_calls"],
            failed=int(row["n_failed"]),
            input_tokens=int(row["n_input"]),
            output_tokens=int(row["n_output"]),
            unpriced=int(row["n_unpriced"]),
            cost_usd=to_usd(None if row["nano_usd"] is None else int(row["nano_usd"])),
        )
        for row in rows
    ]

"""What past calls cost by the prices that are known now for the time at which they were made."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from engine.models.prices import PriceCatalogue, terms_of_text
from engine.price_records import CallCostRecord
from engine.reports.dimensions import Costs, model_name
from engine.store.ledger import SqlLedger
from engine.store.tables import calls, cost_versions
from engine.usage import Usage

IN_CODE = "override"
"""The source of a cost whose price stands in code, with no date: it is kept as it was recorded."""


@dataclass(frozen=True, slots=True)
class Repriced:
    """Calls with what they cost before and cost now.

    Attributes:
        costs: of each call; a cost version has not been given to them yet.
        old_nano_usd: the sum before, as far as it was known; None if none of it was.
        new_nano_usd: the sum now.
        old_unknown: how many costs were not known before, and `new_unknown` now.
        changed: how many calls cost another amount now.
    """

    costs: Sequence[CallCostRecord]
    old_nano_usd: int | None
    new_nano_usd: int | None
    old_unknown: int
    new_unknown: int
    changed: int


async def price_anew(
    ledger: SqlLedger, catalogue: PriceCatalogue, *, since: datetime | None = None, model: str | None = None
) -> Repriced:
    """Price every call whose usage is known; nothing is written.

    A call goes by its provider and the model that was asked, as it did when it was made. One whose price stood in code
    keeps its recorded cost. One without usage is left out: there is nothing to price.

    Args:
        ledger: what is read.
        catalogue: the prices, the ledger's own included.
        since: only calls that began since.
        model: only calls of this model, as asked for or as answered.
    """
    rows = await ledger.read(lambda connection: connection.execute(_query(since, model)).all())
    costs = [_priced(row, catalogue) for row in rows]
    old, new = [row.old_nano_usd for row in rows], [cost.cost_nano_usd for cost in costs]
    return Repriced(
        costs=costs,
        old_nano_usd=_known_sum(old),
        new_nano_usd=_known_sum(new),
        old_unknown=old.count(None),
        new_unknown=new.count(None),
        changed=sum(before != after for before, after in zip(old, new, strict=True)),
    )


def _query(since: datetime | None, model: str | None) -> Any:
    now = Costs.of(select(func.coalesce(func.max(cost_versions.c.version), 0)).scalar_subquery())
    joined = calls if now.joined_on is None else calls.join(now.table, now.joined_on, isouter=True)
    query = (
        select(
            calls.c.run_id,
            calls.c.call_id,
            calls.c.provider_name,
            calls.c.request_model,
            calls.c.started_at,
            calls.c.usage_input_tokens,
            calls.c.usage_cache_read_input_tokens,
            calls.c.usage_cache_write_input_tokens,
            calls.c.usage_output_tokens,
            calls.c.usage_reasoning_output_tokens,
            calls.c.cost_nano_usd,
            calls.c.cost_source,
            calls.c.price_terms,
            now.nano_usd.label("old_nano_usd"),
        )
        .select_from(joined)
        .where(calls.c.usage_input_tokens.is_not(None), calls.c.request_model.is_not(None))
    )
    query = query if since is None else query.where(calls.c.started_at >= since)
    return query if model is None else query.where((model_name == model) | (calls.c.request_model == model))


def _priced(row: Any, catalogue: PriceCatalogue) -> CallCostRecord:
    made = CallCostRecord(run_id=row.run_id, call_id=row.call_id, version=0)
    if row.cost_source == IN_CODE:
        made.cost_nano_usd, made.cost_source = row.cost_nano_usd, IN_CODE
        return made
    usage = Usage(
        input_tokens=row.usage_input_tokens,
        cache_read_tokens=row.usage_cache_read_input_tokens or 0,
        cache_write_tokens=row.usage_cache_write_input_tokens or 0,
        output_tokens=row.usage_output_tokens or 0,
        reasoning_tokens=row.usage_reasoning_output_tokens or 0,
    )
    priced = catalogue.price(
        row.provider_name or "", row.request_model, usage, row.started_at, terms_of_text(row.price_terms)
    )
    made.cost_nano_usd, made.cost_source = priced.nano_usd, priced.source
    return made


def _known_sum(amounts: Sequence[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known or not amounts else None

"""Which models have a price: those of the app's roles, and all that the ledger has calls of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select

from engine.models.prices import PriceCatalogue
from engine.store.ledger import SqlLedger
from engine.store.tables import calls
from engine.usage import Price

Named = tuple[str, str]
"""Provider and model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedModel:
    """A model, what it costs at a time, and what the ledger knows of its calls.

    Attributes:
        roles: the roles that it plays in the app.
        price: USD per million tokens of small requests; None if it is not known.
        source: catalogue, database, override (it stands in code) or unknown.
        calls: its calls in the ledger.
        unpriced: those of them whose cost is not known; the sum of what budgets were charged for them is `held`.
    """

    provider: str
    model: str
    roles: Sequence[str]
    price: Price | None
    source: str
    calls: int
    unpriced: int
    held_nano_usd: int
    last_call_at: datetime | None

    @property
    def moves(self) -> bool:
        """Whether the name is an alias that its provider points at newer models, so that its price may lag."""
        return self.model.endswith("latest")

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON; prices are text."""
        price = self.price
        return {
            "provider": self.provider,
            "model": self.model,
            "roles": list(self.roles),
            "source": self.source,
            "input": None if price is None else str(price.input),
            "output": None if price is None else str(price.output),
            "cache_read": None if price is None or price.cache_read is None else str(price.cache_read),
            "cache_write": None if price is None or price.cache_write is None else str(price.cache_write),
            "moving_alias": self.moves,
            "calls": self.calls,
            "unpriced": self.unpriced,
            "held_nano_usd": self.held_nano_usd,
            "last_call_at": None if self.last_call_at is None else self.last_call_at.isoformat(),
        }


async def check_prices(
    ledger: SqlLedger,
    catalogue: PriceCatalogue,
    at: datetime,
    playing: Mapping[str, Iterable[tuple[str, str, Price | None]]],
) -> list[PricedModel]:
    """Say what every model costs at a time; models of unknown price come first.

    Args:
        ledger: whose calls are looked at.
        catalogue: the prices, the ledger's own included.
        at: when.
        playing: for each role of the app the provider, name and own price of the models behind it.
    """
    seen = await _seen(ledger)
    roles: dict[Named, list[str]] = {}
    own: dict[Named, Price] = {}
    for role, models in playing.items():
        for provider, name, price in models:
            roles.setdefault((provider, name), []).append(role)
            if price is not None:
                own[provider, name] = price
    found: list[PricedModel] = []
    for provider, model in sorted({*seen, *roles}):
        price, source = own.get((provider, model)), "override"
        if price is None:
            price, source = catalogue.rates(provider, model, at)
        row = seen.get((provider, model))
        found.append(
            PricedModel(
                provider=provider,
                model=model,
                roles=roles.get((provider, model), ()),
                price=price,
                source=source,
                calls=0 if row is None else row.calls,
                unpriced=0 if row is None else int(row.unpriced),
                held_nano_usd=0 if row is None else int(row.held),
                last_call_at=None if row is None else row.last,
            )
        )
    return sorted(found, key=lambda one: one.source != "unknown")


async def _seen(ledger: SqlLedger) -> dict[Named, Any]:
    """Count the calls of each model in the ledger."""
    unknown = func.sum(case((calls.c.cost_nano_usd.is_(None), 1), else_=0))
    held = func.sum(case((calls.c.cost_nano_usd.is_(None), calls.c.charged_nano_usd), else_=0))
    query = (
        select(
            calls.c.provider_name,
            calls.c.request_model,
            func.count().label("calls"),
            unknown.label("unpriced"),
            held.label("held"),
            func.max(calls.c.started_at).label("last"),
        )
        .where(calls.c.request_model.is_not(None))
        .group_by(calls.c.provider_name, calls.c.request_model)
    )
    rows = await ledger.read(lambda connection: connection.execute(query).all())
    return {(row.provider_name or "", row.request_model): row for row in rows}

"""What asking a model can cost at the most, and what it did cost: the role's own price first, else the catalogue."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from engine.definition.call_bound import CallBound
from engine.models.prices import PriceCatalogue
from engine.usage import Price, Usage


class Priced(Protocol):
    """What is known of a model that has a price."""

    @property
    def provider(self) -> str:
        """Who runs it."""
        ...

    @property
    def name(self) -> str:
        """How its provider calls it."""
        ...

    @property
    def price(self) -> Price | None:
        """A price that wins over the catalogue's."""
        ...

    @property
    def terms(self) -> Mapping[str, str]:
        """What the catalogue's price goes by besides."""
        ...


@dataclass(frozen=True, slots=True)
class UnboundModel:
    """A model of which no more is known than its price."""

    provider: str
    name: str
    price: Price | None
    terms: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Charges:
    """Prices of models, as roles and the catalogue give them."""

    catalogue: PriceCatalogue

    def dearest(self, model: Priced, read: int, written: int, at: datetime) -> int | None:
        """Give the most nano-USD that a request of so many tokens can cost; None if no price is known."""
        if model.price is None:
            return self.catalogue.upper_bound(model.provider, model.name, read, written, at, model.terms)
        plain = Usage(input_tokens=read, output_tokens=written)
        cached = Usage(input_tokens=read, cache_write_tokens=read, output_tokens=written)
        return max(model.price.cost(plain), model.price.cost(cached))

    def cost(self, model: Priced, usage: Usage, at: datetime) -> tuple[int | None, str, str | None]:
        """Give nano-USD (None if unknown), where the price is from, and the catalogue's id."""
        if model.price is not None:
            return model.price.cost(usage), "override", None
        priced = self.catalogue.price(model.provider, model.name, usage, at, model.terms)
        return priced.nano_usd, priced.source, priced.catalogue_id

    def worst_case(self, model: Priced, calls: CallBound, at: datetime) -> int | None:
        """Give the most nano-USD of all calls that one node makes in a run.

        A request is as long as the node allows, else as the model can read; None if neither or no price is known.
        """
        read = calls.max_input_tokens or self.catalogue.context_window(model.provider, model.name)
        if model.price is not None and model.price.is_free:
            return 0
        one = None if read is None else self.dearest(model, read, calls.max_tokens, at)
        return None if one is None else one * calls.calls

    def worst_cases(
        self, calls: Iterable[CallBound], models_of: Callable[[str], Sequence[Priced]], at: datetime
    ) -> list[tuple[CallBound, int | None]]:
        """Give the same for the models behind each role, all of which may be asked; of several roles, the dearest."""
        bounds: list[tuple[CallBound, int | None]] = []
        for one in calls:
            costs = [
                _sum_of_known([self.worst_case(model, one, at) for model in models_of(role)])
                for role in (one.role, *one.or_roles)
            ]
            known = [cost for cost in costs if cost is not None]
            bounds.append((one, max(known) if len(known) == len(costs) else None))
        return bounds


def _sum_of_known(costs: Sequence[int | None]) -> int | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None

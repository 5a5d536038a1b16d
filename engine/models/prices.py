"""What a request costs, by the dated prices of genai-prices, which come with the package: nothing is downloaded.

Providers are named as OpenTelemetry, LangChain and people name them, and looked up by an explicit map: the loose
matching of the package would price `azure.ai.openai` as OpenAI. What is not known stays unknown, never 0.
"""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_UP, Decimal
from functools import cache, cached_property
from importlib.metadata import distribution
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.price_records import PriceRecord
from engine.usage import Price, Usage, to_nano_usd

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

_NAMES = {  # the catalogue's name: names that OpenTelemetry, LangChain and people use for it
    "anthropic": "claude",
    "aws": "aws.bedrock bedrock aws_bedrock amazon_bedrock bedrock_converse anthropic_bedrock",
    "azure": "azure.ai.openai azure.ai.inference azure_openai azure_ai az.ai.openai az.ai.inference",
    "cohere": "cohere_ai",
    "deepseek": "deep_seek",
    "fireworks": "fireworks_ai",
    "google": (
        "gcp.gemini gcp.vertex_ai gcp.gen_ai gemini google_genai google_gemini google_vertexai google_vertex "
        "vertex_ai vertexai vertex google_anthropic_vertex"
    ),
    "mistral": "mistral_ai mistralai",
    "moonshotai": "moonshot_ai moonshot",
    "together": "together_ai togetherai",
    "voyageai": "voyage_ai voyage",
    "x-ai": "x_ai xai grok",
    "zai": "z_ai",
}
_PROVIDERS = {alias: name for name, aliases in _NAMES.items() for alias in aliases.split()}
_READ = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_5m_mtok", "cache_write_1h_mtok")
_WRITTEN = ("output_mtok", "output_reasoning_mtok")
_NANO_PER_TOKEN = 1000  # from USD per million tokens
NO_TERMS: Mapping[str, str] = {}
_LONGEST_CALL = timedelta(days=1)  # within which a price may change before the call is charged


@dataclass(frozen=True, slots=True)
class Priced:
    """What a usage cost.

    Attributes:
        nano_usd: the cost; None if no price is known.
        source: where the price is from; `database` is a dated price of the ledger's own, `override` one given in code.
        catalogue_id: the catalogue that was asked; None for an override.
    """

    nano_usd: int | None
    source: Literal["catalogue", "database", "override", "unknown"]
    catalogue_id: str | None


@dataclass(frozen=True, slots=True)
class _Rates:
    """The dearest that a model charges on one day.

    Attributes:
        read: for each kind of input, (from how many input tokens, nano-USD per token) steps.
        written: the same for each kind of output; its steps count input tokens too.
        request: nano-USD per request.
    """

    read: tuple[tuple[int, Decimal], ...]
    written: tuple[tuple[int, Decimal], ...]
    request: Decimal

    def dearest(self, input_tokens: int, output_tokens: int) -> int:
        read = max((rate for start, rate in self.read if start <= input_tokens), default=Decimal(0))
        written = max((rate for start, rate in self.written if start <= input_tokens), default=Decimal(0))
        return math.ceil(read * input_tokens + written * output_tokens + self.request)


@cache
def _package() -> tuple[str, Any]:
    """Give the version of the package and the hash of its data."""
    package = distribution("genai-prices")
    return package.version, hashlib.sha256(Path(str(package.locate_file("genai_prices/data.py"))).read_bytes())


class PriceCatalogue:
    """Prices of models at a time.

    Prices are those of plain text requests; surcharges for regions, audio, and paid server-side tools are not in a
    Usage, so they are not priced. `terms` are what a price goes by besides: {"service_tier": "flex"} or "priority",
    {"processing": "batch"}. A model without a price of its own for them has its standard price.

    Args:
        overrides: prices by "provider:model" that go before all others.
        dated: prices that the ledger keeps, in the order in which they were written; they go before the catalogue's.
    """

    def __init__(self, overrides: Mapping[str, Price] | None = None, dated: Iterable[PriceRecord] = ()) -> None:
        self._overrides = dict(overrides or {})
        self._dated: dict[tuple[str, str], list[tuple[datetime, Price]]] = {}
        for record in dated:
            own = self._dated.setdefault((catalogue_provider(record.provider), record.model), [])
            own.append((_aware(record.valid_from), as_price(record)))
        for own in self._dated.values():
            own.sort(key=itemgetter(0))  # stable: of two with the same time the later one comes last
        self._models: dict[tuple[str, str], tuple[Provider, ModelInfo] | None] = {}
        self._rates: dict[tuple[str, str, date, str], _Rates] = {}

    @cached_property
    def catalogue_id(self) -> str:
        """Name the prices: the package's version and a hash of its data, of the overrides and of the dated prices."""
        package, data = _package()
        digest = data.copy()
        digest.update(repr(sorted(self._overrides.items())).encode())
        if self._dated:
            digest.update(repr(sorted(self._dated.items())).encode())
        return f"genai-prices-{package}-{digest.hexdigest()[:8]}"

    def price(
        self, provider: str, model: str, usage: Usage, at: datetime, terms: Mapping[str, str] = NO_TERMS
    ) -> Priced:
        """Price a usage at the time of the request.

        Args:
            provider: as OpenTelemetry or LangChain names it.
            model: as it was asked for, or better as the response names it.
            usage: all tokens of the request; cached tokens are part of the input.
            at: when the request was made; naive times are UTC.
            terms: what the price goes by besides.

        Returns:
            The cost in nano-USD, rounded up; unknown for a model, or a local provider, without a price.
        """
        override = self._overrides.get(f"{provider}:{model}")
        if override is not None:
            return Priced(override.cost(usage), "override", None)
        dated = self._in_force(provider, model, at)
        if dated is not None:
            return Priced(dated.cost(usage), "database", self.catalogue_id)
        found = self._find(provider, model)
        if found is None or not _sells_text(found[1].get_prices(at, terms)):
            return Priced(None, "unknown", self.catalogue_id)
        seller, info = found
        calculated = info.calc_price(_as_theirs(usage), seller, genai_request_timestamp=at, price_context=terms)
        return Priced(to_nano_usd(calculated.total_price, rounding=ROUND_UP), "catalogue", self.catalogue_id)

    def upper_bound(
        self,
        provider: str,
        model: str,
        input_tokens: int,
        output_tokens: int,
        at: datetime,
        terms: Mapping[str, str] = NO_TERMS,
    ) -> int | None:
        """Bound the cost of a request in nano-USD, rounded up; None if no price is known.

        Every input token may be written to a cache at the dearest kind, every output token may be reasoning, each
        price step up to that many input tokens may apply, and the request may be billed at any hour of its day.
        """
        override = self._overrides.get(f"{provider}:{model}")
        if override is not None:
            return _dearest_of(override, input_tokens, output_tokens)
        past = len(self._until(provider, model, at))
        coming = self._until(provider, model, at + _LONGEST_CALL)[max(past - 1, 0) :]
        bounds = [_dearest_of(price, input_tokens, output_tokens) for _, price in coming]
        if not past:
            rates = self._rates_on(provider, model, at, terms)
            if rates is None:
                return None
            bounds.append(rates.dearest(input_tokens, output_tokens))
        return max(bounds)

    def context_window(self, provider: str, model: str) -> int | None:
        """Give the most tokens that a model can read; None if it is not known."""
        found = self._find(provider, model)
        return None if found is None else found[1].context_window

    def rates(self, provider: str, model: str, at: datetime) -> "tuple[Price | None, str]":
        """Give what a model costs at a time for small requests, and where that is from; None if it is not known."""
        own = self._overrides.get(f"{provider}:{model}")
        if own is not None:
            return own, "override"
        dated = self._in_force(provider, model, at)
        if dated is not None:
            return dated, "database"
        found = self._find(provider, model)
        price = None if found is None else found[1].get_prices(at)
        if price is None or not _sells_text(price):
            return None, "unknown"
        return _plain(price), "catalogue"

    def _rates_on(self, provider: str, model: str, at: datetime, terms: Mapping[str, str]) -> _Rates | None:
        day = (at if at.tzinfo is None else at.astimezone(UTC)).date()
        key = provider, model, day, terms_as_text(terms)
        known = self._rates.get(key)
        if known is not None:
            return known
        found = self._find(provider, model)
        if found is None:
            return None
        midnight = datetime.combine(day, time(), UTC)
        prices = [found[1].get_prices(midnight + timedelta(minutes=30 * step), terms) for step in range(49)]
        if not any(_sells_text(price) for price in prices):
            return None
        rates = _rates(prices)
        self._rates[key] = rates
        return rates

    def _in_force(self, provider: str, model: str, at: datetime) -> Price | None:
        before = self._until(provider, model, at)
        return before[-1][1] if before else None

    def _until(self, provider: str, model: str, at: datetime) -> list[tuple[datetime, Price]]:
        """Give the dated prices of a model that begin until a time, the first first."""
        if not self._dated:
            return []
        own = self._dated.get((catalogue_provider(provider), model), [])
        return own[: bisect_right(own, _aware(at), key=itemgetter(0))]

    def _find(self, provider: str, model: str) -> "tuple[Provider, ModelInfo] | None":
        if (provider, model) not in self._models:
            self._models[provider, model] = _look_up(provider, model)
        return self._models[provider, model]


def catalogue_provider(name: str) -> str:
    """Give the catalogue's name of a provider that goes by several."""
    given = name.strip().lower()
    return _PROVIDERS.get(given.replace("-", "_"), given)


def terms_as_text(terms: Mapping[str, str]) -> str:
    """Write terms as the ledger keeps them: `processing=batch, service_tier=flex`."""
    return ", ".join(f"{name}={value}" for name, value in sorted(terms.items()))


def terms_of_text(text: str | None) -> Mapping[str, str]:
    """Read terms as the ledger keeps them."""
    return dict(one.split("=", 1) for one in text.split(", ")) if text else NO_TERMS


def as_price(record: PriceRecord) -> Price:
    """Give a dated price without its date."""
    return Price(input=record.input, output=record.output, cache_read=record.cache_read, cache_write=record.cache_write)


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _look_up(provider: str, model: str) -> "tuple[Provider, ModelInfo] | None":
    from genai_prices.data import providers  # half a second: only where a price is asked for

    name = catalogue_provider(provider)
    seller = next((one for one in providers if one.id == name), None)
    asked = model.rpartition("/")[2] if name == "google" else model  # models/..., publishers/google/models/...
    if seller is None or asked.startswith("ft:"):  # a fine-tuned model costs more than the one it was made from
        return None
    info = seller.find_model(asked, all_providers=providers)
    return None if info is None else (seller, info)


def _sells_text(price: "ModelPrice") -> bool:
    """Tell a priced model from one without prices, which would look free."""
    return price.input_mtok is not None or price.output_mtok is not None


def _plain(price: "ModelPrice") -> Price:
    """Give the prices of small requests, as text with no more digits than they have."""

    def first(one: "Decimal | TieredPrices | None") -> str | None:
        steps = _steps(one)
        return f"{steps[0][1] / _NANO_PER_TOKEN:f}" if steps else None

    return Price(
        input=first(price.input_mtok) or "0",
        output=first(price.output_mtok) or "0",
        cache_read=first(price.cache_read_mtok),
        cache_write=first(price.cache_write_mtok),
    )


def _as_theirs(usage: Usage) -> object:
    from genai_prices import Usage as TheirUsage

    cached = usage.cache_read_tokens + usage.cache_write_tokens
    return TheirUsage(
        input_tokens=max(usage.input_tokens, cached),  # some servers count cached tokens beside the input
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=max(usage.output_tokens, usage.reasoning_tokens),
        output_reasoning_tokens=usage.reasoning_tokens,
    )


def _rates(prices: "Iterable[ModelPrice]") -> _Rates:
    every = list(prices)
    requests: list[Decimal | TieredPrices | None] = [price.requests_kcount for price in every]
    return _Rates(
        read=tuple({step for price in every for key in _READ for step in _steps(getattr(price, key))}),
        written=tuple({step for price in every for key in _WRITTEN for step in _steps(getattr(price, key))}),
        request=max((rate * 1000 for each in requests for _, rate in _steps(each)), default=Decimal(0)),
    )


def _steps(price: "Decimal | TieredPrices | None") -> list[tuple[int, Decimal]]:
    if price is None:
        return []
    if isinstance(price, Decimal):
        return [(0, price * _NANO_PER_TOKEN)]
    return [(0, price.base * _NANO_PER_TOKEN), *((tier.start, tier.price * _NANO_PER_TOKEN) for tier in price.tiers)]


def _dearest_of(price: Price, input_tokens: int, output_tokens: int) -> int:
    plain = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    cached = Usage(input_tokens=input_tokens, cache_write_tokens=input_tokens, output_tokens=output_tokens)
    return max(price.cost(plain), price.cost(cached))

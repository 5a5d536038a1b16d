"""What the ledger keeps of prices, of costs that were worked out anew, and of how well tokens are estimated.

Rows are only ever added: what was believed when stays readable.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True, kw_only=True)
class PriceRecord:
    """What a model costs from a day on, in USD per million tokens, as decimal text.

    Attributes:
        provider: as the ledger, OpenTelemetry or LangChain names it.
        valid_from: requests made from then on cost this; of two rows with the same time, the later one holds.
        cache_read: tokens read from a cache; the input price where not given.
        cache_write: tokens written to a cache; the input price where not given.
        note: why, or by whom.
    """

    provider: str
    model: str
    valid_from: datetime
    input: str
    output: str
    created_at: datetime
    cache_read: str | None = None
    cache_write: str | None = None
    note: str | None = None


@dataclass(slots=True, kw_only=True)
class CostVersionRecord:
    """One time that past calls were priced anew.

    Attributes:
        since: only calls that began since; None for all.
        model: only calls of this model; None for all.
        calls: how many were priced.
        old_nano_usd: what these calls cost before, as far as known.
        new_nano_usd: what they cost by this version, as far as known.
    """

    version: int
    created_at: datetime
    price_catalogue_id: str
    calls: int
    since: datetime | None = None
    model: str | None = None
    old_nano_usd: int | None = None
    new_nano_usd: int | None = None


@dataclass(slots=True, kw_only=True)
class CallCostRecord:
    """What a call costs by a cost version; unknown is None."""

    run_id: str
    call_id: str
    version: int
    cost_nano_usd: int | None = None
    cost_source: str | None = None


@dataclass(slots=True, kw_only=True)
class CalibrationRecord:
    """How the tokens that a provider counts compare with the likely count, learned from calls.

    Attributes:
        with_tools: whether it is of requests with tools or an output schema, before which providers put text.
        samples: how many calls it was learned from.
        quantiles: ratios by name: p50, mad, p95, p99, p99.9.
    """

    provider: str
    model: str
    with_tools: bool
    version: int
    created_at: datetime
    samples: int
    quantiles: dict[str, Any] = field(default_factory=dict[str, Any])

"""Prices: dated, by our own names of providers, with a bound that no billed usage passes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.models.prices import PriceCatalogue, terms_as_text, terms_of_text
from engine.usage import Price, Usage

FIRST = datetime(2025, 1, 1, tzinfo=UTC)
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
THOUSAND = Usage(input_tokens=1000, output_tokens=100)
CATALOGUE = PriceCatalogue()


def cost(provider: str, model: str, usage: Usage = THOUSAND, at: datetime = AT) -> int | None:
    return CATALOGUE.price(provider, model, usage, at).nano_usd


def test_a_price_is_whole_nano_dollars_with_the_catalogue_it_is_from() -> None:
    priced = CATALOGUE.price("openai", "gpt-4o", THOUSAND, AT)
    assert priced.nano_usd == 3_500_000  # 1000 at $2.50 and 100 at $10 a million
    assert (priced.source, priced.catalogue_id) == ("catalogue", CATALOGUE.catalogue_id)
    assert CATALOGUE.catalogue_id.startswith("genai-prices-")


@pytest.mark.parametrize(
    ("provider", "model", "same_as"),
    [
        ("gcp.gemini", "gemini-2.5-flash", "google"),
        ("google_genai", "models/gemini-2.5-flash", "google"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-flash", "google"),
        ("x_ai", "grok-4", "x-ai"),
        ("xai", "grok-4", "x-ai"),
        ("mistral_ai", "mistral-large-latest", "mistral"),
        ("mistralai", "mistral-large-latest", "mistral"),
        ("moonshot_ai", "kimi-k2.5", "moonshotai"),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),
        ("Bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),
        ("azure.ai.openai", "gpt-4o", "azure"),
        ("azure-openai", "gpt-4o", "azure"),
    ],
)
def test_a_provider_goes_by_the_names_that_others_give_it(provider: str, model: str, same_as: str) -> None:
    assert cost(provider, model) is not None
    assert cost(provider, model) == cost(same_as, model.rpartition("/")[2])


def test_azure_is_not_taken_for_openai() -> None:
    from genai_prices.data import providers

    azure = next(one for one in providers if one.id == "azure")
    own = [model.id for model in azure.models if cost("azure", model.id) is not None]
    assert any(cost("openai", name) is None for name in own)
    assert all(cost("azure.ai.openai", name) == cost("azure", name) for name in own)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("ollama", "llama3"),
        ("vllm", "gpt-4o"),
        ("flowledger", "extractive-1"),
        ("openai", "qwen3:8b"),
        ("openai", "ft:gpt-4o-mini:acme::1"),
        ("not openai", "gpt-4o"),
        ("", ""),
    ],
)
def test_what_is_not_known_is_unknown_and_never_free(provider: str, model: str) -> None:
    priced = CATALOGUE.price(provider, model, THOUSAND, AT)
    assert (priced.nano_usd, priced.source) == (None, "unknown")
    assert CATALOGUE.upper_bound(provider, model, 1000, 100, AT) is None
    assert CATALOGUE.context_window(provider, model) is None


def test_a_price_is_that_of_its_day() -> None:
    before = cost("openai", "o3", at=datetime(2025, 1, 1, tzinfo=UTC))
    assert (before, cost("openai", "o3")) == (14_000_000, 2_800_000)
    assert CATALOGUE.upper_bound("openai", "o3", 1000, 100, AT) == 2_800_000


def test_cached_tokens_are_part_of_the_input_and_cost_their_own_price() -> None:
    usage = Usage(input_tokens=1000, cache_read_tokens=600, cache_write_tokens=300, output_tokens=0)
    assert cost("anthropic", "claude-sonnet-4-5", usage) == 100 * 3000 + 600 * 300 + 300 * 3750


def test_a_usage_that_does_not_add_up_is_priced_by_its_larger_part() -> None:
    usage = Usage(input_tokens=10, cache_read_tokens=600, output_tokens=0)
    assert cost("anthropic", "claude-sonnet-4-5", usage) == 600 * 300


def test_the_bound_takes_the_dearest_write_to_a_cache() -> None:
    assert CATALOGUE.upper_bound("anthropic", "claude-sonnet-4-5", 1000, 100, AT) == 1000 * 6000 + 100 * 15_000


def test_a_price_step_counts_for_all_tokens_once_it_is_reached() -> None:
    low, high = Usage(input_tokens=199_000), Usage(input_tokens=201_000)
    assert cost("google", "gemini-2.5-pro", low) == 199_000 * 1250
    assert cost("google", "gemini-2.5-pro", high) == 201_000 * 2500
    bound = CATALOGUE.upper_bound("google", "gemini-2.5-pro", 201_000, 0, AT)
    assert bound is not None
    assert bound >= 201_000 * 2500


@pytest.mark.parametrize(
    ("terms", "factor"),
    [
        ({"service_tier": "flex"}, 0.5),
        ({"processing": "batch"}, 0.5),
        ({"service_tier": "priority"}, 1.8),
        ({"a": "b"}, 1),
    ],
)
def test_terms_have_a_price_of_their_own_and_a_bound_that_holds(terms: dict[str, str], factor: float) -> None:
    asked, at = ("openai", "gpt-5-mini"), datetime(2026, 11, 1, tzinfo=UTC)
    plain = CATALOGUE.price(*asked, THOUSAND, at).nano_usd or 0
    own = CATALOGUE.price(*asked, THOUSAND, at, terms).nano_usd
    assert own == plain * factor
    assert CATALOGUE.upper_bound(*asked, 1000, 100, at, terms) == own
    assert terms_of_text(terms_as_text(terms)) == terms
    assert terms_of_text(None) == {}


MODELS = [
    ("openai", "gpt-5-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
    ("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("deepseek", "deepseek-chat"),
    ("perplexity", "sonar-pro"),
    ("azure", "gpt-4o"),
]


@given(
    model=st.sampled_from(MODELS),
    parts=st.tuples(*[st.integers(0, 150_000)] * 5),
    at=st.integers(0, 729 * 48).map(lambda half_hours: FIRST + half_hours * timedelta(minutes=30)),
)
def test_no_usage_costs_more_than_the_bound(model: tuple[str, str], parts: Any, at: datetime) -> None:
    plain, read, write, output, reasoning = parts
    usage = Usage(
        input_tokens=plain + read + write,
        cache_read_tokens=read,
        cache_write_tokens=write,
        output_tokens=output + reasoning,
        reasoning_tokens=reasoning,
    )
    billed, bound = cost(*model, usage, at), CATALOGUE.upper_bound(*model, usage.input_tokens, usage.output_tokens, at)
    assert billed is not None
    assert bound is not None
    assert billed <= bound


def test_an_override_goes_before_the_catalogue_and_names_another_catalogue() -> None:
    price = Price(input="0.1", output=Decimal("0.4"), cache_write="0.2")
    own = PriceCatalogue({"ollama:llama3": price, "openai:gpt-4o": price})
    for provider, model in (("ollama", "llama3"), ("openai", "gpt-4o")):
        priced = own.price(provider, model, THOUSAND, AT)
        assert (priced.nano_usd, priced.source, priced.catalogue_id) == (140_000, "override", None)
        assert own.upper_bound(provider, model, 1000, 100, AT) == 240_000
    assert own.catalogue_id != CATALOGUE.catalogue_id


def test_a_context_window_is_known_where_the_catalogue_says_it() -> None:
    assert CATALOGUE.context_window("openai", "gpt-4o") == 128_000


def test_a_naive_time_is_utc() -> None:
    naive = AT.replace(tzinfo=None)
    assert cost("openai", "o3", at=naive) == 2_800_000
    assert CATALOGUE.upper_bound("openai", "o3", 1000, 100, naive) == 2_800_000

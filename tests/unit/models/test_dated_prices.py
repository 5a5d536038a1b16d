"""Dated prices of the ledger's own: the one in force wins over the catalogue, and the bound looks a day ahead."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from engine.models.prices import PriceCatalogue
from engine.price_records import PriceRecord
from engine.usage import Price, Usage

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MILLION = Usage(input_tokens=1_000_000)


def price(dollars: str, since: datetime = AT, model: str = "gpt-4o", provider: str = "openai", **fields) -> PriceRecord:
    return PriceRecord(
        provider=provider, model=model, valid_from=since, input=dollars, output=dollars, created_at=AT, **fields
    )


def cost(catalogue: PriceCatalogue, at: datetime, model: str = "gpt-4o", provider: str = "openai") -> float | None:
    nano_usd = catalogue.price(provider, model, MILLION, at).nano_usd
    return None if nano_usd is None else nano_usd / 10**9


def test_a_price_holds_from_its_day_until_the_next():
    catalogue = PriceCatalogue(dated=[price("7", AT + HOUR), price("9", AT)])
    assert [cost(catalogue, AT + offset) for offset in (-HOUR, 0 * HOUR, HOUR, 9 * HOUR)] == [2.5, 9, 7, 7]
    assert catalogue.price("openai", "gpt-4o", MILLION, AT).source == "database"
    assert catalogue.price("openai", "gpt-4o", MILLION, AT - HOUR).source == "catalogue"


def test_of_two_prices_for_the_same_time_the_later_written_holds():
    assert cost(PriceCatalogue(dated=[price("9"), price("8")]), AT) == 8


def test_a_price_in_code_goes_before_a_dated_one():
    catalogue = PriceCatalogue({"openai:gpt-4o": Price(input="1", output="1")}, [price("9")])
    assert cost(catalogue, AT) == 1


def test_a_provider_may_be_named_as_others_name_it():
    catalogue = PriceCatalogue(dated=[price("9", model="house-model", provider="gcp.gemini")])
    assert cost(catalogue, AT, "house-model", "google_genai") == 9
    assert cost(catalogue, AT, "house-model", "openai") is None


def test_dated_prices_are_part_of_the_name_of_the_catalogue():
    names = {
        PriceCatalogue(dated=dated).catalogue_id for dated in ([], [price("9")], [price("8")], [price("9", AT + HOUR)])
    }
    assert len(names) == 4
    assert PriceCatalogue(dated=[price("9")]).catalogue_id == PriceCatalogue(dated=[price("9")]).catalogue_id


def test_what_a_model_costs_says_where_it_is_from():
    catalogue = PriceCatalogue({"own:one": Price(input="1", output="1")}, [price("9", model="house-model")])
    assert catalogue.rates("own", "one", AT)[1] == "override"
    assert catalogue.rates("openai", "house-model", AT)[1] == "database"
    assert catalogue.rates("openai", "gpt-4o", AT) == (Price(input="2.5", output="10", cache_read="1.25"), "catalogue")
    assert catalogue.rates("openai", "nobody", AT) == (None, "unknown")


@given(
    before=st.lists(st.tuples(st.integers(0, 50), st.integers(-30, 30)), max_size=5),
    model=st.sampled_from(["gpt-4o", "nobody"]),
    later=st.integers(0, 24),
)
def test_the_bound_holds_for_a_price_that_changes_before_the_call_is_charged(before, model, later):
    catalogue = PriceCatalogue(dated=[price(str(dollars), AT + hours * HOUR, model) for dollars, hours in before])
    bound = catalogue.upper_bound("openai", model, 1_000_000, 0, AT)
    charged = catalogue.price("openai", model, MILLION, AT + later * HOUR).nano_usd
    assert bound is None or (charged is not None and charged <= bound)

"""Costs are added up from the ledger to the last nano-dollar, whatever they are added up by, on every database."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.models.prices import PriceCatalogue
from engine.price_records import CallCostRecord, CostVersionRecord, PriceRecord
from engine.records import CallRecord, OutcomeRecord, RunRecord, RunStatus, StepRecord
from engine.reports import thinning
from engine.reports.cost import cost_by
from engine.reports.dimensions import DIMENSIONS
from engine.reports.prices import check_prices
from engine.reports.reprice import price_anew
from engine.reports.thinning import thinned_to
from engine.store.cost_versions import version_named, write_version
from engine.store.database import Database
from engine.store.ledger import SqlLedger
from engine.store.prices import add_price, read_prices
from engine.usage import Price

NOW = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
USD = 10**9


def run(number: int, **fields) -> RunRecord:
    given = {"run_id": f"{number:032x}", "workflow": "ask", "version": "v1", "status": RunStatus.SUCCEEDED}
    return RunRecord(**(given | {"started_at": NOW} | fields))


def step(of: int, number: int = 1, **fields) -> StepRecord:
    given = {"step_id": f"{number:016x}", "run_id": f"{of:032x}", "seq": number, "node_name": "draft", "visit": 1}
    return StepRecord(**(given | {"node_kind": "engine:Generate", "started_at": NOW, "status": "ok"} | fields))


def call(of: int, number: int, **fields) -> CallRecord:
    given = {
        "call_id": f"{number:016x}",
        "run_id": f"{of:032x}",
        "step_id": f"{1:016x}",
        "node_name": "draft",
        "ordinal": 1,
        "attempt": 1,
        "operation_name": "chat",
        "target": "large",
        "started_at": NOW,
        "request_hash": "h",
        "provider_name": "openai",
        "request_model": "m",
        "cost_nano_usd": USD,
    }
    return CallRecord(**(given | fields))


def outcome(of: int, name: str, *, success: bool) -> OutcomeRecord:
    return OutcomeRecord(run_id=f"{of:032x}", name=name, source="person", created_at=NOW, success=success)


async def costs(ledger: SqlLedger, by: str, **options) -> dict[object, Decimal | None]:
    return {row.dimensions[by]: row.cost_usd for row in await cost_by(ledger, [by], **options)}


async def test_hours_days_and_months_are_those_of_utc(ledger):
    await ledger.commit([run(1), call(1, 1), run(2, started_at=NOW + timedelta(hours=1)), call(2, 2)])
    assert await costs(ledger, "hour") == {"2026-01-31 23:00": 1, "2026-02-01 00:00": 1}
    assert await costs(ledger, "day") == {"2026-01-31": 1, "2026-02-01": 1}
    assert await costs(ledger, "month") == {"2026-01": 1, "2026-02": 1}
    assert await costs(ledger, "month", until=NOW + timedelta(minutes=1)) == {"2026-01": 1}
    assert await costs(ledger, "month", since=NOW + timedelta(minutes=1)) == {"2026-02": 1}


async def test_a_run_counts_once_by_what_was_said_of_it_last(ledger):
    await ledger.commit(
        [run(1), call(1, 1), call(1, 2), run(2), call(2, 3), run(3, status=RunStatus.FAILED), call(3, 4)]
    )
    await ledger.commit([outcome(1, "solved", success=False), outcome(2, "solved", success=False)])
    await ledger.commit([outcome(1, "solved", success=True)])
    assert await costs(ledger, "outcome") == {"solved": 3, None: 1}
    (row,) = await cost_by(ledger, ["workflow"])
    assert (row.runs, row.succeeded, row.successes) == (3, 2, 1)
    assert (row.cost_usd, row.usd_per_succeeded, row.usd_per_success) == (4, 2, 4)


async def test_a_run_that_called_nothing_cost_nothing_and_counts(ledger):
    await ledger.commit([run(1), run(2), call(2, 1)])
    (row,) = await cost_by(ledger, ["workflow"])
    assert (row.runs, row.calls, row.cost_usd, row.usd_per_succeeded) == (2, 1, 1, Decimal("0.5"))
    assert [row.runs for row in await cost_by(ledger, ["model"])] == [1]


async def test_what_a_call_went_on_is_told_once_for_each(ledger):
    await ledger.commit(
        [
            run(1),
            *(step(1), step(1, 2, status="failed", fallback_to="small")),
            call(1, 1, status="failed", cost_nano_usd=None, charged_nano_usd=7 * USD),
            call(1, 2, attempt=2, status="failed", cost_nano_usd=2 * USD),
            call(1, 3, attempt=3, request_model="other", cost_nano_usd=3 * USD),
            call(1, 4, ordinal=2, purpose="reask", cost_nano_usd=4 * USD),
            call(1, 5, ordinal=3, purpose="summary", cost_nano_usd=5 * USD),
            call(1, 6, ordinal=4, status="cancelled", cost_nano_usd=6 * USD),
            call(1, 7, step_id=f"{2:016x}", cost_nano_usd=8 * USD),
            run(2, status=RunStatus.BUDGET_EXCEEDED),
            call(2, 8, cost_nano_usd=9 * USD),
        ]
    )
    rows = {row.dimensions["use"]: row for row in await cost_by(ledger, ["use"])}
    assert {name: row.cost_usd for name, row in rows.items()} == {
        "retry": None,
        "fallback": 10,
        "answer": 3,
        "rejected": 4,
        "summary": 5,
        "failed call": 6,
        "failed run": 9,
    }
    assert (rows["retry"].unpriced, rows["retry"].held_usd) == (1, 7)


@pytest.mark.parametrize(
    ("by", "message"),
    [([], "--by nothing"), (["colour"], "--by colour: the dimensions"), (["day", "day"], "name each dimension once")],
)
async def test_a_dimension_that_is_none_is_refused(ledger, by, message):
    with pytest.raises(InputError, match=message):
        await cost_by(ledger, by)


AMOUNTS = st.none() | st.integers(0, 2**40)
CALLS = st.lists(
    st.builds(
        dict,
        of=st.integers(1, 3),
        cost_nano_usd=AMOUNTS,
        request_model=st.sampled_from([None, "m", "n"]),
        status=st.sampled_from(["ok", "failed", "cancelled"]),
        attempt=st.integers(1, 3),
        ordinal=st.integers(1, 2),
        purpose=st.sampled_from([None, "answer", "reask"]),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(made=CALLS, statuses=st.lists(st.sampled_from(list(RunStatus)), min_size=3, max_size=3), by=st.data())
async def test_the_groups_of_any_grouping_add_up_to_the_whole(made, statuses, by):
    ledger = SqlLedger(Database.open("sqlite:///:memory:"))
    try:
        await ledger.commit([run(number, status=status) for number, status in enumerate(statuses, 1)])
        await ledger.commit([call(**fields, number=number) for number, fields in enumerate(made)])
        await ledger.commit([outcome(1, "solved", success=True), outcome(1, "solved", success=False)])
        chosen = by.draw(st.lists(st.sampled_from(DIMENSIONS), min_size=1, max_size=3, unique=True))
        rows = await cost_by(ledger, chosen)
        known = [fields["cost_nano_usd"] for fields in made if fields["cost_nano_usd"] is not None]
        assert sum((row.cost_usd or Decimal(0) for row in rows), Decimal(0)) * USD == sum(known)
        assert sum(row.calls for row in rows) == len(made)
        assert sum(row.unpriced for row in rows) == len(made) - len(known)
    finally:
        await ledger.close()


# prices and cost versions

USED = {"usage_input_tokens": 1_000_000, "usage_output_tokens": 1_000_000, "price_catalogue_id": "old"}


def price(**fields) -> PriceRecord:
    given = {"provider": "openai", "model": "m", "valid_from": NOW, "input": "1", "output": "2", "created_at": NOW}
    return PriceRecord(**(given | fields))


async def test_prices_are_read_back_in_the_order_in_which_they_were_written(ledger):
    made = [price(), price(input="0.1", cache_read="0.01", note="a discount"), price(model="n")]
    for one in made:
        await add_price(ledger, one)
    assert list(read_prices(ledger.database)) == made


async def test_pricing_anew_writes_a_version_and_leaves_what_was_recorded(ledger):
    before = [
        call(1, 1, **USED, cost_source="catalogue"),
        call(1, 2, **USED, cost_source="override", cost_nano_usd=5 * USD),
        call(1, 3, **USED, started_at=NOW - timedelta(days=1), cost_source="unknown", cost_nano_usd=None),
        call(1, 4, cost_nano_usd=None),
        call(1, 5, **USED, request_model="n", cost_source="unknown", cost_nano_usd=None),
    ]
    await ledger.commit([run(1), *before])
    catalogue = PriceCatalogue(dated=[price()])
    found = await price_anew(ledger, catalogue, model="m")
    assert [cost.cost_nano_usd for cost in found.costs] == [3 * USD, 5 * USD, None]
    assert (found.old_nano_usd, found.new_nano_usd, found.changed) == (6 * USD, 8 * USD, 1)
    assert (found.old_unknown, found.new_unknown) == (1, 1)
    empty = CostVersionRecord(version=0, created_at=NOW, price_catalogue_id="new", calls=3)
    assert (await write_version(ledger, empty, found.costs)).version == 1
    assert await ledger.calls(run(1).run_id) == sorted(before, key=lambda one: (one.started_at, one.ordinal))
    assert await costs(ledger, "model") == {"m": 6, "n": None}
    assert await costs(ledger, "model", cost_version=1) == {"m": 8, "n": None}


async def test_past_calls_are_priced_anew_by_the_terms_that_they_were_made_under(ledger):
    usage = {"usage_input_tokens": 10**6, "usage_output_tokens": 0, "provider_name": "openai"}
    names = {"request_model": "gpt-5-mini", "cost_source": "catalogue", "started_at": NOW.replace(month=11, day=1)}
    flex = call(1, 1, price_terms="service_tier=flex", **names, **usage)
    await ledger.commit([run(1), flex, call(1, 2, **names, **usage)])
    found = await price_anew(ledger, PriceCatalogue())
    assert {cost.call_id: cost.cost_nano_usd for cost in found.costs} == {f"{1:016x}": USD // 8, f"{2:016x}": USD // 4}


async def test_a_version_takes_over_what_it_does_not_price_from_those_before(ledger):
    await ledger.commit([run(1), call(1, 1), call(1, 2, request_model="n")])
    empty = CostVersionRecord(version=0, created_at=NOW, price_catalogue_id="new", calls=1)
    one, two = (CallCostRecord(run_id=run(1).run_id, call_id=f"{number:016x}", version=0) for number in (1, 2))
    one.cost_nano_usd = 10 * USD
    await write_version(ledger, empty, [one])
    await write_version(ledger, empty, [two])
    assert await version_named(ledger, "latest") == 2
    assert await costs(ledger, "model", cost_version=1) == {"m": 10, "n": 1}
    assert await costs(ledger, "model", cost_version=2) == {"m": 10, "n": None}
    for name in ("3", "0", "-1", "newest", ""):
        with pytest.raises(InputError, match="write recorded, latest or a number; there is 1 to 2"):
            await version_named(ledger, name)


async def test_models_without_a_price_are_told_first(ledger):
    await ledger.commit(
        [run(1), call(1, 1, cost_nano_usd=None, charged_nano_usd=4), call(1, 2, request_model="gpt-4o")]
    )
    playing = {"large": [("openai", "gpt-4o", None)], "small": [("own", "tiny", Price(input="0", output="0"))]}
    found = await check_prices(ledger, PriceCatalogue(), NOW, playing)
    assert [(one.model, one.source, list(one.roles), one.calls) for one in found] == [
        ("m", "unknown", [], 1),
        ("gpt-4o", "catalogue", ["large"], 1),
        ("tiny", "override", ["small"], 0),
    ]
    assert (found[0].unpriced, found[0].held_nano_usd, found[0].last_call_at) == (1, 4, NOW)
    assert (found[1].price.input, found[1].price.output, found[1].price.cache_read) == ("2.5", "10", "1.25")


async def test_a_sample_of_runs_is_the_same_each_time_and_stands_for_all(ledger):
    """One in four of 256 runs is read by the end of its id; what they come to is four times that, with its margin."""
    every = [one for number in range(256) for one in (run(number), call(number, 1, cost_nano_usd=2 * USD))]
    await ledger.commit(every)
    (whole,) = await cost_by(ledger, ["model"])
    (drawn,) = await cost_by(ledger, ["model"], one_in=4)
    assert drawn == (await cost_by(ledger, ["model"], one_in=4))[0]
    assert (whole.one_in, whole.margin, drawn.one_in) == (1, 0.0, 4)
    assert (drawn.runs, drawn.calls, drawn.cost_usd) == (whole.runs, whole.calls, whole.cost_usd) == (256, 256, 512)
    assert drawn.margin == pytest.approx(1.96 * (0.75 / 64) ** 0.5)
    for by in ("use", "node", "workflow", "outcome"):
        assert [row.cost_usd for row in await cost_by(ledger, [by], one_in=4)] == [512]


async def test_few_runs_are_all_read_and_many_are_thinned(ledger, monkeypatch):
    await ledger.commit([run(number) for number in range(20)])
    assert await thinned_to(ledger, ["model"]) == 1
    monkeypatch.setattr(thinning, "MOST_RUNS_BY_CALL", 5)
    assert await thinned_to(ledger, ["workflow", "model"]) == 4
    assert await thinned_to(ledger, ["workflow"]) == 1
    assert await thinned_to(ledger, ["model"], since=NOW + timedelta(days=1)) == 1

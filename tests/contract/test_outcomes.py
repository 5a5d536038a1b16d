"""Outcomes are said late and more than once, and what a success costs counts all that was spent on the way."""

from datetime import timedelta
from decimal import Decimal

import pytest

from engine.errors import InputError
from engine.records import RunStatus
from engine.reports.per_outcome import cost_per_outcome
from tests.contract.test_costs import NOW, USD, call, outcome, run
from tests.flows import app_for, line, noting, run_id


async def test_what_is_said_last_counts_and_all_of_it_is_kept(url):
    async with app_for(line(("note", noting())), database=url) as app:
        result = await app.run("line", {"question": "q"})
        await app.outcome(result.run_id[-6:], False, note="too late")
        await app.outcome(result.run_id, True, value=2.5, name="resolved", source="shop")
        said = await app.outcomes(result.run_id)
        assert [(one.name, one.success, one.value, one.source) for one in said] == [
            ("outcome", False, None, "person"),
            ("resolved", True, 2.5, "shop"),
        ]
        (row,) = await cost_per_outcome(app.ledger, ["workflow"])
        assert (row.runs, row.judged, row.successes, row.value) == (1, 1, 1, 2.5)


async def test_under_a_key_an_outcome_of_a_run_is_said_once(url):
    async with app_for(line(("note", noting())), database=url) as app:
        one, other = [(await app.run("line", {"question": "q"})).run_id for _ in range(2)]
        first = await app.outcome(one, True, value=2.5, key="order-7")
        assert await app.outcome(one, False, key="order-7") == first
        assert (await app.outcome(other, False, key="order-7")).success is False
        assert [said.success for said in await app.outcomes(one)] == [True]


async def test_an_outcome_is_of_a_run_that_there_is_and_its_value_a_number():
    async with app_for(line(("note", noting()))) as app:
        with pytest.raises(InputError, match="no run has the id"):
            await app.outcome("ffff", True)
        result = await app.run("line", {"question": "q"})
        with pytest.raises(InputError, match="is a number"):
            await app.outcome(result.run_id, True, value=float("nan"))
        with pytest.raises(InputError, match="a name and a source"):
            await app.outcome(result.run_id, True, name=" ")


async def test_failed_runs_retries_and_judges_are_paid_by_the_successes(ledger):
    await ledger.commit(
        [
            *(run(1), call(1, 1), call(1, 2, attempt=2, status="failed")),
            *(run(2, status=RunStatus.FAILED), call(2, 3, cost_nano_usd=4 * USD)),
            *(run(3, origin="judge", parent_run_id=run_id(1), workflow="rubric"), call(3, 4, cost_nano_usd=2 * USD)),
            *(run(4, origin="experiment"), call(4, 5), run(5, origin="replay"), call(5, 6)),
            *(run(6, origin="judge", parent_run_id=run_id(4)), call(6, 7)),
            *(run(7), call(7, 8, cost_nano_usd=None)),
        ]
    )
    await ledger.commit([outcome(1, "solved", success=True), outcome(2, "solved", success=False)])
    (row,) = await cost_per_outcome(ledger, ["workflow"])
    assert (row.runs, row.judged, row.successes, row.unpriced) == (3, 2, 1, 1)
    assert (row.cost_usd, row.usd_per_success, row.success_rate) == (8, 8, 0.5)


async def test_groups_are_apart_and_the_interval_goes_by_users(ledger):
    for number in range(1, 41):
        fields = {"tenant": "a" if number % 2 else "b", "user_id": f"u{number % 10}"}
        await ledger.commit([run(number, **fields), call(number, number, cost_nano_usd=number * USD)])
        await ledger.commit([outcome(number, "solved", success=number % 3 > 0)])
    rows = {row.dimensions["tenant"]: row for row in await cost_per_outcome(ledger, ["tenant"])}
    assert {name: row.cost_usd for name, row in rows.items()} == {"a": Decimal(400), "b": Decimal(420)}
    for row in rows.values():
        assert row.per_success.low < float(row.usd_per_success or 0) < row.per_success.high
        assert row.share.low < (row.success_rate or 0) < row.share.high
    by_user = await cost_per_outcome(ledger, ["user", "tenant"])
    assert len(by_user) == 10
    assert all(row.runs == 4 for row in by_user)


async def test_without_a_success_or_in_another_time_there_is_no_cost_of_one(ledger):
    await ledger.commit([run(1), call(1, 1), outcome(1, "solved", success=False)])
    (row,) = await cost_per_outcome(ledger, ["workflow"])
    assert (row.usd_per_success, row.to_json()["usd_per_success_interval"]) == (None, [None, None])
    assert await cost_per_outcome(ledger, ["workflow"], since=NOW + timedelta(days=1)) == []


async def test_what_outcomes_cannot_be_counted_by_is_named(ledger):
    for by in (["model"], [], ["tenant", "tenant"]):
        with pytest.raises(InputError, match="outcomes are counted by workflow"):
            await cost_per_outcome(ledger, by)

"""No window of time is ever overspent, over all processes, crashes and windows, on every database."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import App, Budget, Generate, Model, Price, Retry, SpendLimit
from engine.errors import ConfigurationError
from engine.ports import SpendWindow, WindowRefused
from engine.store import spend
from engine.store.database import Database
from engine.testing import ScriptedModel, StillClock
from tests.databases import SHARED, ready
from tests.flows import line

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = SpendLimit(per="tenant", window="1d", usd="0.01")
DRAFT = Generate(model="large", prompt="{question}", into="answer", max_tokens=1_000, retry=Retry(attempts=1))


def app_on(url: str, *limits: SpendLimit, clock: StillClock | None = None, **budget: object) -> App:
    """Give an app whose answers cost 0.001 USD and may cost a little more."""
    model = Model(
        ScriptedModel(script=["fine"], output_tokens=1_000, input_tokens=0), price=Price(input="0", output="1")
    )
    workflow = line(("draft", DRAFT), budget=Budget(**budget))
    return App(
        workflows=[workflow], models={"large": model}, database=url, spend_limits=limits, clock=clock or StillClock()
    )


async def spent(app: App) -> dict[str, tuple[float, float]]:
    return {row.limit_key: (row.settled_nano_usd / 1e9, row.held_nano_usd / 1e9) for row in await app.spend()}


async def run(app: App, **who: str) -> str:
    return str((await app.run("line", {"question": "q"}, **who)).status)


@SHARED
async def test_two_processes_share_the_window_of_a_tenant_and_never_overspend_it(database_url):
    url, clock = ready(database_url), StillClock()
    async with app_on(url, DAY, clock=clock) as one, app_on(url, DAY, clock=clock) as other:
        ended = await asyncio.gather(*(run(app, tenant="acme") for _ in range(10) for app in (one, other)))
        while ended.count("succeeded") < 10:  # what one held and did not need is free again
            ended.append(await run(one, tenant="acme"))
        assert await run(other, tenant="acme") == "budget_exceeded"
        assert await spent(one) == {"tenant:acme:1d": (0.01, 0.0)}
        assert await run(other, tenant="free") == "succeeded"


async def test_a_refusal_names_the_limit_and_when_a_new_window_begins(database_url):
    clock = StillClock(NOW)
    async with app_on(url_of(database_url), DAY, clock=clock) as app:
        for _ in range(10):
            assert await run(app, tenant="acme") == "succeeded"
        refused = await app.run("line", {"question": "q"}, tenant="acme")
        assert refused.error.message.startswith(
            "the limit tenant:acme:1d of $0.01 has $0 left and more could be needed"
        )
        assert "a new window begins at 2026-01-02 00:00 UTC" in refused.error.message
        clock.advance(12 * 3600)
        assert (await app.resume(refused.run_id)).status == "succeeded"
        assert [row.begins_at.day for row in await app.spend()] == [2, 1]


async def test_every_limit_that_a_run_falls_under_is_kept(database_url):
    limits = [
        SpendLimit(per="app", usd="0.003"),
        SpendLimit(per="user", usd="0.002"),
        SpendLimit(per="workflow", usd="1"),
    ]
    async with app_on(url_of(database_url), *limits) as app:
        ended = [await run(app, user=who) for who in ("a", "a", "a", "b", "b")]
        assert ended == ["succeeded", "succeeded", "budget_exceeded", "succeeded", "budget_exceeded"]
        found = await spent(app)
        assert (found["app::1d"], found["user:a:1d"], found["user:b:1d"]) == ((0.003, 0), (0.002, 0), (0.001, 0))


async def test_a_run_holds_no_more_than_its_own_budget(database_url):
    async with app_on(url_of(database_url), DAY, usd="0.002") as app:
        held: list[float] = []
        model = app.models["large"].model
        model.script = [lambda _: held.append(1) or "fine"]
        await run(app, tenant="acme")
        assert held == [1]
        assert await spent(app) == {"tenant:acme:1d": (0.001, 0.0)}


@SHARED
async def test_what_a_dead_process_held_stays_held_until_its_run_has_ended(database_url):
    url = ready(database_url)
    async with app_on(url, DAY) as app:
        window = SpendWindow(key="tenant:acme:1d", seconds=86_400, nano_usd=10_000_000)
        now = app.clock.now()
        result = await app.run("line", {"question": "q"}, tenant="acme")
        await app.ledger.allot([window], result.run_id, 9_000_000, 9_000_000, now)  # it died before it settled
        assert (await spent(app))["tenant:acme:1d"] == (0.001, 0.008)
        assert await run(app, tenant="acme") == "succeeded"
        assert await run(app, tenant="acme") == "succeeded"
        assert (await spent(app))["tenant:acme:1d"] == (0.003, 0.0)


async def test_a_model_without_a_price_is_refused_under_a_limit(database_url):
    app = app_on(url_of(database_url), DAY)
    app.models["large"] = Model(ScriptedModel(script=["fine"]))
    async with app:
        with pytest.raises(ConfigurationError, match="is not known and the budget of 'line' is in USD"):
            await run(app)


@pytest.mark.parametrize("window", ["", "1", "d", "0d", "1w", "-1d", "1.5h"])
def test_a_window_is_a_span(window):
    with pytest.raises(Exception, match="a window is a span like 15m, 1h, 1d or 30d"):
        SpendLimit(per="app", usd="1", window=window)


OPERATION = st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(1, 60), st.integers(0, 40), st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(OPERATION, max_size=25), st.integers(20, 150))
def test_whatever_runs_take_and_leave_no_window_passes_its_limit(operations, limit):
    database = Database.open("sqlite:///:memory:")
    windows = [SpendWindow(key=key, seconds=3600, nano_usd=limit * (1 + number)) for number, key in enumerate("ab")]
    try:
        for who, hour, needed, more, settles in operations:
            now = NOW + timedelta(hours=hour)
            with database.engine.connect().execution_options(writes=True) as connection, connection.begin():
                if settles:
                    spend.settle(connection, f"run {who}")
                found = spend.allot(connection, windows, f"run {who}", needed, needed + more, now)
                if isinstance(found, WindowRefused):
                    assert found.left_nano_usd < needed
                else:
                    assert all(allowed >= needed for allowed in found.values())
                for row in spend.standing(connection):
                    most = next(window.nano_usd for window in windows if window.key == row.limit_key)
                    assert 0 <= row.held_nano_usd + row.settled_nano_usd <= most
    finally:
        database.close()


def url_of(database_url: str) -> str:
    return database_url if ":memory:" in database_url else ready(database_url)

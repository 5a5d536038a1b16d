"""The breaker: opens after failures in a row, lets one probe through, and is neutral to what says nothing."""

import asyncio

import pytest

from engine.definition.policies import Breaker, Retry
from engine.errors import BadRequest, BreakerOpen, Overloaded, StoreError
from engine.models.roles import Model
from engine.nodes.generate import Generate
from engine.records import BreakerRecord
from engine.runtime.middleware.breaker import Breakers, TargetBreaker
from engine.testing import ScriptedModel, StillClock
from engine.usage import Price
from tests.flows import app_for, line


def breaker(failures: int = 3) -> tuple[TargetBreaker, StillClock]:
    clock = StillClock()
    return TargetBreaker("the target", Breaker(failures=failures, reset_after=30), clock), clock


def left_alone_after(failures: int) -> Generate:
    return Generate(
        model="large",
        prompt="{question}",
        into="answer",
        max_tokens=50,
        retry=Retry(attempts=1),
        breaker=Breaker(failures=failures),
    )


def fail(guard: TargetBreaker, times: int = 1) -> None:
    for _ in range(times):
        guard.leave(guard.admit(), Overloaded("busy"))


def opened() -> tuple[TargetBreaker, StillClock]:
    guard, clock = breaker()
    fail(guard, 3)
    return guard, clock


def test_failures_in_a_row_open_it():
    guard, _ = opened()
    assert guard.state == "open"
    with pytest.raises(BreakerOpen, match="the target failed 3 times in a row and is left alone for another 30 s"):
        guard.admit()


def test_a_success_in_between_starts_the_count_again():
    guard, _ = breaker()
    fail(guard, 2)
    guard.leave(guard.admit(), None)
    fail(guard, 2)
    assert guard.state == "closed"


def test_one_probe_of_fifty_is_let_through():
    guard, clock = opened()
    clock.advance(30)
    admitted = 0
    for _ in range(50):
        try:
            guard.admit()
            admitted += 1
        except BreakerOpen:
            pass
    assert admitted == 1


def test_a_probe_that_succeeds_closes_it():
    guard, clock = opened()
    clock.advance(30)
    guard.leave(guard.admit(), None)
    assert guard.state == "closed"
    guard.admit()


def test_a_probe_that_fails_opens_it_for_another_while():
    guard, clock = opened()
    clock.advance(30)
    fail(guard)
    assert guard.state == "open"
    clock.advance(29)
    with pytest.raises(BreakerOpen):
        guard.admit()


def test_a_cancelled_probe_gives_its_place_to_the_next():
    guard, clock = opened()
    clock.advance(30)
    guard.leave(guard.admit(), asyncio.CancelledError())
    assert guard.state == "half-open"
    guard.leave(guard.admit(), None)
    assert guard.state == "closed"


def test_cancelled_and_refused_requests_say_nothing_about_the_target():
    guard, _ = breaker()
    for _ in range(10):
        guard.leave(guard.admit(), asyncio.CancelledError())
        guard.leave(guard.admit(), BadRequest("odd"))
    assert guard.state == "closed"


def test_an_attempt_that_began_before_the_change_says_nothing():
    guard, clock = breaker()
    late = guard.admit()
    fail(guard, 3)
    clock.advance(30)
    probe = guard.admit()
    guard.leave(late, Overloaded("late"))
    assert guard.state == "half-open"
    guard.leave(probe, None)
    assert guard.state == "closed"


async def test_every_change_of_a_breaker_is_an_event_of_the_run_that_brought_it_about():
    clock = StillClock()
    model = Model(ScriptedModel(script=[Overloaded("busy"), "x"]), price=Price(input="1", output="1"))
    async with app_for(line(("draft", left_alone_after(1))), clock=clock, large=model) as app:
        for _ in range(2):
            await app.run("line", {"question": "q"})
            clock.advance(31)
        runs = reversed(await app.ledger.runs())
        told = [event for run in runs for event in await app.ledger.events(run.run_id)]
        changes = [await app.ledger.value(event.data_payload) for event in told]
    assert [(event.name, change["state"]) for event, change in zip(told, changes, strict=True)] == [
        ("breaker_changed", "open"),
        ("breaker_changed", "closed"),
    ]
    assert changes[0]["reason"] == "failed 1 times in a row"


async def test_an_open_breaker_costs_nothing_and_leads_to_the_backup():
    broken = ScriptedModel(script=[ConnectionError("down")], model_name="broken")
    backup = ScriptedModel(script=["from the backup"], model_name="backup")
    free = Price(input="0", output="0")
    role = Model(broken, backup=Model(backup, price=free), price=free)
    async with app_for(line(("draft", left_alone_after(2))), large=role) as app:
        for _ in range(5):
            assert (await app.run("line", {"question": "q"})).output["answer"] == "from the backup"
    assert len(broken.asked) == 2
    assert len(backup.asked) == 5


def window(**fields: object) -> tuple[TargetBreaker, StillClock]:
    clock = StillClock()
    return TargetBreaker("the target", Breaker(**({"failures": 1_000, "min_calls": 4} | fields)), clock), clock


def attempt(guard: TargetBreaker, *, failed: bool = False, **how: float) -> bool:
    return guard.leave(guard.admit(), Overloaded("busy") if failed else None, **how)


def test_a_share_of_failures_opens_it_although_none_follow_one_another():
    guard, _ = window(failure_rate=0.5)
    changes = [attempt(guard, failed=number % 2 == 1) for number in range(4)]
    assert (changes, guard.state) == ([False, False, False, True], "open")
    with pytest.raises(BreakerOpen, match="the target failed in 2 of 4 attempts in 60 s and is left alone for"):
        guard.admit()


def test_what_the_window_has_passed_counts_no_longer():
    guard, clock = window(failure_rate=0.5, window=10)
    for _ in range(3):
        attempt(guard, failed=True)
    clock.advance(11)
    for _ in range(5):
        attempt(guard)
    attempt(guard, failed=True)
    assert guard.state == "closed"


def test_a_share_of_slow_attempts_opens_it_although_all_succeed():
    guard, _ = window(slow_seconds=2, slow_rate=0.75)
    for seconds in (3, 1, 3, 3):
        attempt(guard, seconds=seconds)
    assert (guard.state, guard.reason) == ("open", "took 2 s or longer in 3 of 4 attempts in 60 s")


def test_money_that_failures_burn_opens_it_before_there_are_many():
    guard, _ = window(lost_usd="0.01")
    attempt(guard, failed=False, lost=20_000_000)
    attempt(guard, failed=True, lost=4_000_000)
    assert guard.state == "closed"
    attempt(guard, failed=True, lost=6_000_000)
    assert (guard.state, guard.reason) == ("open", "burnt $0.01 on failures in 60 s")


def test_a_target_that_works_again_is_judged_by_what_it_does_from_then_on():
    guard, clock = window(failure_rate=0.5)
    for number in range(4):
        attempt(guard, failed=number % 2 == 1)
    clock.advance(30)
    attempt(guard)
    attempt(guard, failed=True)
    assert guard.state == "closed"


@pytest.fixture
async def two_apps(tmp_path):
    """Give two processes' worth of apps on one ledger, on one clock, whose model fails until it is told otherwise."""
    clock, url = StillClock(), f"sqlite:///{tmp_path}/runs.db"
    model = Model(ScriptedModel(script=[lambda _: answers()]), price=Price(input="1", output="1"))
    node = Generate(
        model="large", prompt="{question}", into="answer", max_tokens=50, retry=ONCE, breaker=Breaker(failures=3)
    )
    apps = [app_for(line(("draft", node)), clock=clock, database=url, large=model) for _ in range(2)]
    WORKS.clear()
    async with apps[0], apps[1]:
        yield apps, clock


WORKS: list[bool] = []
ONCE = Retry(attempts=1)


def answers() -> str:
    if not WORKS:
        raise Overloaded("busy")
    return "fine"


async def test_a_probe_is_made_although_the_ledger_cannot_be_asked_who_may():
    clock = StillClock()
    breakers = Breakers(clock, Silent())
    await breakers.close()
    guard = breakers.of("the target", Breaker(failures=1))
    breakers.look()
    await breakers.close()
    fail(guard)
    assert await breakers.may_probe(guard)


class Silent:
    """A ledger that knows another target, and then answers nothing."""

    async def breakers(self):
        return [BreakerRecord("another", "open", StillClock().now(), "failed")]

    async def begin_probe(self, *_):
        raise StoreError("the database has gone")


async def run(app, times: int = 1):
    for _ in range(times):
        result = await app.run("line", {"question": "q"})
        await asyncio.sleep(0)  # what was learnt in the background is heard
    return result.error.type if result.error else "fine"


async def test_what_one_process_finds_another_heeds_within_a_second(two_apps):
    (one, other), clock = two_apps
    assert await run(other) == "Overloaded"
    assert await run(one, 4) == "BreakerOpen"
    clock.advance(1)
    await run(other)
    assert await run(other) == "BreakerOpen"
    (record,) = await other.breakers()
    assert (record.state, record.reason) == ("open", "failed 3 times in a row")


async def test_one_process_of_all_tries_a_target_again(two_apps):
    (one, other), clock = two_apps
    await run(one, 3)
    clock.advance(1)
    await run(other, 2)
    clock.advance(30)
    await one.ledger.begin_probe((await one.breakers())[0].target, clock.now(), clock.now().replace(year=2027))
    assert await run(other) == "BreakerOpen"


async def test_recovery_follows_one_probe(two_apps):
    (one, other), clock = two_apps
    await run(one, 3)
    clock.advance(1)
    assert await run(other, 2) == "BreakerOpen"
    WORKS.append(True)
    clock.advance(30)
    assert await run(one) == "fine"
    assert await run(other, 2) == "fine"
    assert (await one.breakers())[0].state == "closed"


async def test_a_person_can_have_a_target_asked_again_at_once(two_apps):
    (one, other), clock = two_apps
    await run(one, 3)
    assert await run(one) == "BreakerOpen"
    WORKS.append(True)
    clock.advance(1)
    assert await other.reset_breaker() == 1
    await run(one)
    assert await run(one) == "fine"
    assert await other.reset_breaker() == 0

"""The breaker: opens after failures in a row, lets one probe through, and is neutral to what says nothing."""

import asyncio

import pytest

from engine.definition.policies import Breaker, Retry
from engine.errors import BadRequest, BreakerOpen, Overloaded
from engine.models.roles import Model
from engine.nodes.generate import Generate
from engine.runtime.middleware.breaker import TargetBreaker
from engine.testing import ScriptedModel, StillClock
from engine.usage import Price
from tests.flows import app_for, line


def breaker(failures: int = 3) -> tuple[TargetBreaker, StillClock]:
    clock = StillClock()
    return TargetBreaker("the target", Breaker(failures=failures, reset_after=30), clock), clock


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


async def test_an_open_breaker_costs_nothing_and_leads_to_the_backup():
    broken = ScriptedModel(script=[ConnectionError("down")], model_name="broken")
    backup = ScriptedModel(script=["from the backup"], model_name="backup")
    free = Price(input="0", output="0")
    node = Generate(
        model="large",
        prompt="{question}",
        into="answer",
        max_tokens=50,
        retry=Retry(attempts=1),
        breaker=Breaker(failures=2),
    )
    role = Model(broken, backup=Model(backup, price=free), price=free)
    async with app_for(line(("draft", node)), large=role) as app:
        for _ in range(5):
            assert (await app.run("line", {"question": "q"})).output["answer"] == "from the backup"
    assert len(broken.asked) == 2
    assert len(backup.asked) == 5

"""The gate: spreads calls over the minute, lets tenants take turns by tokens, and stays closed when it is told to."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DefinitionError, NotAdmitted
from engine.runtime.fair_queue import FairQueue, Waiting
from engine.runtime.gate import Gate
from engine.runtime.rate_limit import Bucket, RateLimit
from engine.testing import VirtualClock, in_virtual_time


def gate(**limit: int) -> Gate:
    return Gate("the target", RateLimit(**limit), VirtualClock())


async def enter(at: Gate, tokens: int = 1, *, tenant: str = "", seconds: float | None = None, patience: float = 60):
    await at.enter(tenant, tokens, seconds_left=seconds, patience=patience)


def now() -> float:
    return asyncio.get_running_loop().time()


async def turns(at: Gate, calls: list[tuple[str, int]]) -> list[tuple[str, float]]:
    """Let calls of tenants enter all at once, and give who entered when, in order."""
    entered: list[tuple[str, float]] = []

    async def one(tenant: str, tokens: int) -> None:
        await enter(at, tokens, tenant=tenant)
        entered.append((tenant, now()))
        at.leave(tokens, used=tokens)

    await asyncio.gather(*(one(*call) for call in calls))
    return entered


def test_a_gate_without_a_limit_holds_nobody_up():
    entered = in_virtual_time(turns(gate(), [("a", 10_000)] * 500))
    assert [at for _, at in entered] == [0.0] * 500


@settings(max_examples=30, deadline=None)
@given(limit=st.integers(1, 2_000), number=st.integers(1, 300))
def test_no_minute_has_more_requests_than_the_limit(limit: int, number: int):
    times = [at for _, at in in_virtual_time(turns(gate(requests_per_minute=limit), [("a", 0)] * number))]
    for index, at in enumerate(times):
        inside = sum(1 for other in times[index:] if other < at + 60)
        assert inside <= max(limit, 2)  # one that is let out at once, and one that follows, where a minute has one


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 900), min_size=1, max_size=120))
def test_no_minute_has_more_tokens_than_the_limit_and_one_large_call(sizes: list[int]):
    entered = in_virtual_time(turns(gate(tokens_per_minute=5_000), [("a", size) for size in sizes]))
    times = [at for _, at in entered]
    for index, at in enumerate(times):
        inside = sum(size for other, size in zip(times[index:], sizes[index:], strict=True) if other < at + 60)
        assert inside <= 5_000 + 900


def test_nearly_all_of_the_limit_is_used():
    times = [at for _, at in in_virtual_time(turns(gate(requests_per_minute=300), [("a", 0)] * 1_500))]
    assert 1_500 / (times[-1] / 60) >= 0.9 * 300


def test_what_a_call_did_not_use_is_used_by_the_next():
    async def both() -> float:
        at = gate(tokens_per_minute=6_000)
        await enter(at, 6_000)
        at.leave(6_000, used=100)
        await enter(at, 100)
        return now()

    assert in_virtual_time(both()) == 0.0


def test_what_was_not_sent_takes_nothing():
    async def many() -> float:
        at = gate(requests_per_minute=20, tokens_per_minute=6_000)
        for _ in range(100):
            await enter(at, 6_000)
            at.leave(6_000, used=None)
        return now()

    assert in_virtual_time(many()) == 0.0


def test_only_so_many_are_under_way_at_once():
    async def most() -> int:
        at, under_way, highest = gate(concurrency=3), 0, 0

        async def one() -> None:
            nonlocal under_way, highest
            await enter(at)
            under_way += 1
            highest = max(highest, under_way)
            await asyncio.sleep(1)
            under_way -= 1
            at.leave(1, used=1)

        await asyncio.gather(*(one() for _ in range(20)))
        assert now() == pytest.approx(7.0)
        return highest

    assert in_virtual_time(most()) == 3


def test_a_tenant_with_three_calls_is_not_held_up_by_one_with_a_thousand():
    calls = [("flood", 100)] * 1_000 + [("small", 100)] * 3
    entered = in_virtual_time(turns(gate(requests_per_minute=600), calls))
    assert (
        max(place for place, (tenant, _) in enumerate(entered) if tenant == "small") < 40
    )  # thirty at once, then turns


def test_turns_are_taken_by_tokens_not_by_calls():
    calls = [("large", 1_000)] * 30 + [("small", 100)] * 300
    entered = in_virtual_time(turns(gate(tokens_per_minute=10_000), calls))
    half = entered[: len(entered) // 2]
    tokens = {name: sum(1_000 if name == "large" else 100 for tenant, _ in half if tenant == name) for name, _ in calls}
    assert tokens["small"] / tokens["large"] == pytest.approx(1.0, abs=0.15)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50)), max_size=40))
def test_every_call_gets_its_turn_once_and_those_of_a_tenant_in_order(calls: list[tuple[str, int]]):
    async def all_of_them() -> list[tuple[str, int]]:
        queue, loop = FairQueue(), asyncio.get_running_loop()
        for tenant, tokens in calls:
            queue.push(Waiting(tenant, tokens, None, 0.0, loop.create_future()))
        served = []
        while (head := queue.head()) is not None:
            queue.pop(head)
            served.append((head.tenant, head.tokens))
        assert not queue
        return served

    served = in_virtual_time(all_of_them())
    for name in "abc":
        assert [call for call in served if call[0] == name] == [call for call in calls if call[0] == name]


def test_a_queue_forgets_tenants_that_have_nothing_waiting():
    async def many() -> int:
        at = gate(requests_per_minute=60)
        flood = asyncio.create_task(turns(at, [("flood", 1)] * 400))
        for number in range(200):
            await enter(at, tenant=f"tenant {number}")
            at.leave(1, used=1)
        remembered = len(at._queue._given)
        await flood
        return remembered

    assert in_virtual_time(many()) < 100


def test_tenants_that_come_with_one_call_each_do_not_hold_up_one_that_waits():
    async def served() -> int:
        at = gate(requests_per_minute=60)
        flood = asyncio.create_task(turns(at, [("flood", 1)] * 200))
        for number in range(100):
            await enter(at, tenant=f"tenant {number}")
            at.leave(1, used=1)
        left = at.waiting
        await flood
        return 200 - left

    assert in_virtual_time(served()) > 90


def test_a_call_that_surely_comes_too_late_fails_at_once():
    async def late() -> None:
        at = gate(requests_per_minute=60)
        waiting = asyncio.create_task(turns(at, [("a", 0)] * 33))
        await asyncio.sleep(0.01)
        with pytest.raises(NotAdmitted, match=r"leave no room .* within the 5.0 s that it has: it would wait 3\d"):
            await enter(at, tenant="a", seconds=5)
        assert now() == 0.01
        waiting.cancel()

    in_virtual_time(late())


def test_a_closed_gate_holds_all_back_until_it_opens_and_then_lets_them_out_by_and_by():
    async def times() -> list[float]:
        at, answered = gate(), []
        await enter(at)
        at.refused(20)
        at.leave(1, used=0)

        async def one() -> None:
            await enter(at)
            answered.append(now())
            await asyncio.sleep(1)
            at.succeeded()
            at.leave(1, used=1)

        await asyncio.gather(*(one() for _ in range(15)))
        return answered

    assert in_virtual_time(times()) == pytest.approx([20.0] + [21.0] * 2 + [22.0] * 4 + [23.0] * 8)


def test_whoever_cannot_wait_until_it_opens_fails_at_once():
    async def refusals() -> list[str]:
        at = gate(concurrency=1)
        await enter(at)
        hasty = asyncio.create_task(enter(at, seconds=10))
        impatient = asyncio.create_task(enter(at, patience=15))
        patient = asyncio.create_task(enter(at, patience=30))
        await asyncio.sleep(1)
        at.refused(20)
        at.leave(1, used=0)
        said = [str(error) for error in await asyncio.gather(hasty, impatient, return_exceptions=True)]
        assert now() == 1.0
        with pytest.raises(NotAdmitted, match="asked to be left alone for another 20 s"):
            await enter(at, patience=15)
        await patient
        assert now() == pytest.approx(21.0)
        return said

    hasty, impatient = in_virtual_time(refusals())
    assert "within the 9.0 s that it has: it would wait 20.0 s or longer" in hasty
    assert "and the call waits 15 s at the most (Retry(max_wait=...))" in impatient


@settings(max_examples=50, deadline=None)
@given(cancelled=st.lists(st.floats(0, 20), min_size=1, max_size=20), limit=st.integers(1, 3))
def test_cancelled_calls_leave_nothing_behind(cancelled: list[float], limit: int):
    async def cancel() -> None:
        at = gate(concurrency=limit, requests_per_minute=60)

        async def one(seconds: float) -> None:
            await enter(at)
            try:
                await asyncio.sleep(3)
            finally:
                at.leave(1, used=1)

        calls = [asyncio.create_task(one(seconds)) for seconds in cancelled]
        for seconds, call in sorted(zip(cancelled, calls, strict=True), key=lambda pair: pair[0]):
            await asyncio.sleep(max(seconds - now(), 0))
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert (at.waiting, at._under_way, at._timer) == (0, 0, None)

    in_virtual_time(cancel())


def test_a_call_that_is_cancelled_in_the_moment_of_its_turn_gives_it_to_the_next():
    async def pass_on() -> None:
        at = gate(concurrency=1)
        await enter(at)
        first, second = asyncio.create_task(enter(at)), asyncio.create_task(enter(at))
        await asyncio.sleep(1)
        at.leave(1, used=1)
        first.cancel()
        await asyncio.wait_for(second, 1)
        assert first.cancelled()

    in_virtual_time(pass_on())


def test_calls_that_are_cancelled_while_the_gate_closes_or_opens_are_passed_over():
    async def pass_over() -> float:
        at = gate(concurrency=1)
        await enter(at)
        first, second, third = (asyncio.create_task(enter(at, patience=patience)) for patience in (5, 60, 60))
        await asyncio.sleep(1)
        first.cancel()
        second.cancel()
        at.refused(20)
        at.leave(1, used=0)
        await third
        assert first.cancelled()
        assert second.cancelled()
        return now()

    assert in_virtual_time(pass_over()) == pytest.approx(21.0)


def test_a_small_call_does_not_wait_for_as_long_as_a_large_one_before_it_would_have():
    async def small() -> float:
        at = gate(tokens_per_minute=6_000)
        await enter(at, 6_000)
        large, little = asyncio.create_task(enter(at, 6_000)), asyncio.create_task(enter(at, 1))
        await asyncio.sleep(1)
        large.cancel()
        await little
        return now()

    async def given_back() -> float:
        at = gate(tokens_per_minute=6_000)
        await enter(at, 6_000)
        little = asyncio.create_task(enter(at, 1))
        await asyncio.sleep(1)
        at.leave(6_000, used=6_000 - 90)
        at.learn(requests=3, tokens=None)
        await little
        return now()

    assert in_virtual_time(small()) == pytest.approx(5_701 / 95, abs=0.01)
    assert in_virtual_time(given_back()) == pytest.approx(5_611 / 95, abs=0.01)


def test_what_the_provider_says_is_left_is_believed():
    async def times() -> list[float]:
        at = gate(requests_per_minute=600, tokens_per_minute=60_000)
        at.learn(requests=1, tokens=None)
        found = [at_s for _, at_s in await turns(at, [("a", 1)] * 2)]
        at.learn(requests=None, tokens=0)
        return [*found, *(at_s for _, at_s in await turns(at, [("a", 1_000)]))]

    first, second, third = in_virtual_time(times())
    assert first == 0.0
    assert second > 0.05
    assert third - second > 0.9


def test_a_limit_is_divided_among_processes():
    async def last() -> float:
        at = gate(requests_per_minute=300)
        at.share(3)
        return (await turns(at, [("a", 0)] * 205))[-1][1]

    assert in_virtual_time(last()) == pytest.approx(200 / 95 * 60, rel=0.01)


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(DefinitionError, match="requests_per_minute"):
        RateLimit(requests_per_minute=0)


def test_a_bucket_shared_by_more_than_it_holds_still_fills():
    bucket = Bucket(5, sharers=10)
    bucket.take(1, 0)
    assert 0 < bucket.wait(1, 0) <= 240

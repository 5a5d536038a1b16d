"""Of many who were told of the same run, a few look at once, and the others later, each of them once."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dispatch.crowd import Crowd, delay, off_watch, watching
from engine.testing import in_virtual_time


@given(st.integers(1, 50), st.integers(1, 4), st.floats(0, 0.999))
def test_few_workers_all_look_at_once(runs, peers, drawn):
    assert delay(runs, peers, lambda: drawn) == 0


@given(st.integers(5, 2000), st.integers(1, 3), st.randoms(use_true_random=False))
def test_nobody_waits_longer_than_five_milliseconds_for_each_other(peers, runs, chance):
    assert 0 <= delay(runs, peers, chance.random) <= peers * 0.005


async def looks_of(peers: int, times: int) -> list[float]:
    """Tell so many workers of a run so often within a tenth of a second; say when each looked."""
    loop, looks = asyncio.get_running_loop(), list[float]()

    async def look(crowd: Crowd) -> None:
        while True:
            await crowd.wait()
            looks.append(loop.time())

    chance = random.Random(3)
    crowds = [Crowd(chance.random) for _ in range(peers)]
    looking = [asyncio.create_task(look(crowd)) for crowd in crowds]
    for _ in range(times):
        for crowd in crowds:
            crowd.told(1, peers)
        await asyncio.sleep(0.1 / times)
    await asyncio.sleep(5)
    for one in looking:
        one.cancel()
    await asyncio.gather(*looking, return_exceptions=True)
    return looks


def test_of_a_hundred_a_few_look_at_once_and_all_within_half_a_second():
    looks = in_virtual_time(looks_of(100, 1))
    assert len(looks) == 100
    assert 1 <= sum(at < 0.001 for at in looks) <= 10
    assert max(looks) <= 0.5


def test_a_flood_of_hints_does_not_make_everybody_look_for_each():
    assert len(in_virtual_time(looks_of(100, 50))) < 100 * 50 / 8


@pytest.mark.parametrize(("peers", "on_watch"), [(1, 1), (16, 16), (100, 16), (200, 16)])
def test_of_many_the_same_few_keep_watch_at_any_time_and_of_few_all_do(peers, on_watch):
    watch, chances = 0.5, [(number + 0.5) / 1000 for number in range(1000)]
    off = [off_watch(peers, watch, lambda chance=chance: chance) for chance in chances]
    share = watch / (watch + sum(off) / len(off))
    assert watching(peers) == on_watch
    assert share * peers == pytest.approx(on_watch)


@given(st.integers(1, 100_000), st.floats(0, 0.999))
def test_nobody_is_off_watch_for_longer_than_fifteen_seconds(peers, drawn):
    assert 0 <= off_watch(peers, 1.0, lambda: drawn) < 15

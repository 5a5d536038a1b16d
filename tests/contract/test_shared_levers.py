"""Processes on one database share their breakers and divide their limits, on every dialect."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.app import App
from engine.definition.policies import Breaker, Retry
from engine.errors import Overloaded
from engine.models.roles import Model
from engine.nodes.generate import Generate
from engine.runtime.middleware.admission import Admission
from engine.runtime.rate_limit import RateLimit
from engine.testing import ScriptedModel, StillClock
from engine.usage import Price
from tests.flows import QUESTION, app_for, line

Processes = tuple[list[App], StillClock, list[bool], ScriptedModel]


@pytest.fixture
async def processes(url: str) -> AsyncIterator[Processes]:
    """Give three apps on one ledger and one clock, whose model fails until it is told to work."""
    if "memory" in url:
        pytest.skip("a database in memory is of one process")
    works: list[bool] = []

    def answers(_: object) -> str:
        if not works:
            raise Overloaded("busy")
        return "fine"

    clock, chat = StillClock(), ScriptedModel(script=[answers])
    fields = {"prompt": "{question}", "into": "answer", "max_tokens": 50}
    node = Generate(model="large", retry=Retry(attempts=1), breaker=Breaker(failures=3, reset_after=30), **fields)
    role = Model(chat, price=Price(input="1", output="1"))
    apps = [app_for(line(("draft", node)), clock=clock, database=url, large=role) for _ in range(3)]
    yield apps, clock, works, chat
    for app in apps:
        await app.close()


async def run(app: App, times: int = 1) -> list[str]:
    results = [await app.run("line", QUESTION) for _ in range(times)]
    return [result.error.type if result.error else "fine" for result in results]


async def heed(app: App) -> None:
    """Let an app hear what others have found, as it does by itself within a second."""
    await run(app)
    await app._running().breakers.close()


async def test_calls_to_an_open_target_stop_in_every_process(processes: Processes):
    (one, two, three), clock, _, chat = processes
    await run(two), await run(three)
    await run(one, 3)
    clock.advance(1)
    for other in (two, three):
        await heed(other)
    asked = len(chat.asked)
    for app in (one, two, three):
        assert await run(app, 10) == ["BreakerOpen"] * 10
    assert len(chat.asked) == asked


async def test_one_process_of_all_probes_and_all_recover_after_it(processes: Processes):
    (one, two, three), clock, works, chat = processes
    await run(two), await run(three)
    await run(one, 3)
    clock.advance(1)
    await heed(two), await heed(three)
    asked = len(chat.asked)
    clock.advance(30)
    ended = await asyncio.gather(*(run(app) for app in (one, two, three)))
    assert sorted(kind for one in ended for kind in one) == ["BreakerOpen", "BreakerOpen", "Overloaded"]
    assert len(chat.asked) == asked + 1
    works.append(True)
    clock.advance(31)
    assert "fine" in await run(one)
    clock.advance(1)
    await heed(two), await heed(three)
    assert await run(two) == await run(three) == ["fine"]


async def test_a_process_that_dies_while_it_probes_does_not_block_the_probe_for_ever(processes: Processes):
    (one, two, _), clock, works, _ = processes
    await run(one, 3)
    works.append(True)
    clock.advance(31)
    target = (await two.breakers())[0].target
    until = clock.now().replace(second=clock.now().second + 20)
    assert await two.ledger.begin_probe(target, clock.now(), until)  # and is never heard of again
    assert await run(one) == ["BreakerOpen"]
    clock.advance(21)
    assert await run(one) == ["fine"]


async def test_a_call_that_is_cancelled_before_it_may_probe_leaves_the_probe_to_the_next(processes: Processes):
    (one, *_), clock, works, _ = processes
    await run(one, 3)
    works.append(True)
    clock.advance(31)
    guard = one._running().breakers.of((await one.breakers())[0].target, Breaker())
    asking = asyncio.create_task(run(one))
    while guard.state != "half-open":  # noqa: ASYNC110 - it says so to nobody
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    clock.advance(31)
    assert await run(one) == ["fine"]


async def test_a_limit_is_divided_among_the_processes_that_live(processes: Processes):
    (one, two, three), clock, works, _ = processes
    works.append(True)
    for app in (one, two, three):
        await run(app)
    assert await one.ledger.workers_alive() == 3
    shared = Admission(clock, one.ledger, {"openai": RateLimit(concurrency=6)})
    (_, gate) = shared.gates_of("openai:gpt-5-mini")
    shared.look()
    await shared.close()
    entering = [asyncio.ensure_future(gate.enter("", 1, seconds_left=None, patience=1.0)) for _ in range(5)]
    await asyncio.sleep(0)
    assert gate.waiting == 3
    for entered in entering:
        entered.cancel()
    await asyncio.gather(*entering, return_exceptions=True)

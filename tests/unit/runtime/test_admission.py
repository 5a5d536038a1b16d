"""Admission: runs wait for room in the limits of providers and targets, and heed what these say."""

import asyncio

import pytest

from benchmarks.limited_model import LimitedModel
from engine.app import App
from engine.definition.policies import Breaker, Budget, Retry
from engine.errors import ConfigurationError, Overloaded
from engine.models.roles import Model
from engine.nodes.call_tool import CallTool
from engine.nodes.generate import Generate
from engine.runtime.rate_limit import RateLimit
from engine.store.ledger import SqlLedger
from engine.testing import ScriptedModel, VirtualClock, in_virtual_time
from engine.usage import Price
from tests.flows import QUESTION, line

LEDGERS: list[SqlLedger] = []
FREE = Price(input="0", output="0")


def draft(**fields: object) -> Generate:
    return Generate(**({"model": "large", "prompt": "{question}", "into": "answer", "max_tokens": 50} | fields))


def app_with(limits: dict[str, RateLimit], role: Model, *nodes: object, **fields: object) -> App:
    chain = [(f"node-{number}", node) for number, node in enumerate(nodes)]
    app = App(
        workflows=[line(*chain, **fields)],
        models={"large": role},
        database="sqlite:///:memory:",
        limits=limits,
        clock=VirtualClock(),
    )
    LEDGERS[:] = [app.ledger]
    return app


def virtually(work):
    """Do work in virtual time, which does not pass while the ledger writes."""
    return in_virtual_time(work, is_idle=lambda: all(ledger.is_idle for ledger in LEDGERS))


async def run_all(app: App, number: int, **options: object) -> list[str]:
    results = await asyncio.gather(*(app.run("line", QUESTION, **options) for _ in range(number)))
    return [result.error.type if result.error else "fine" for result in results]


def limited(**fields: object) -> LimitedModel:
    return LimitedModel(clock=VirtualClock(), **fields)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_limit_that_is_for_nobody_is_refused_by_name():
    def check(name: str) -> None:
        models = {"large": Model(ScriptedModel(script=["x"]), price=FREE)}
        App(workflows=[line(("draft", draft()))], models=models, limits={name: RateLimit(concurrency=1)}).check_limits()

    for name in ("engine", "engine:scripted", "the tool 'open_ticket'"):
        check(name)
    with pytest.raises(ConfigurationError, match="limits names 'openia', which no model is; the names are 'engine'"):
        check("openia")


def test_a_call_says_how_long_it_waited_for_room():
    async def load() -> list[int | None]:
        chat = limited(requests_per_minute=60)
        async with app_with({"benchmarks": RateLimit(concurrency=1)}, Model(chat, price=FREE), draft()) as app:
            await run_all(app, 3)
            calls = [call for run in await app.ledger.runs() for call in await app.ledger.calls(run.run_id)]
            return sorted((call.waited_ns or 0) // 10**9 for call in calls)

    assert virtually(load()) == [0, 2, 4]


@pytest.mark.parametrize(("tokens", "possible"), [(10_000, 60), (3_200, 20)], ids=["requests", "tokens"])
def test_many_runs_at_once_use_nearly_all_of_a_limit_and_are_not_refused(tokens: int, possible: int):
    async def load() -> None:
        chat = limited(requests_per_minute=60, tokens_per_minute=tokens)
        limits = {"benchmarks": RateLimit(requests_per_minute=60, tokens_per_minute=tokens)}
        async with app_with(limits, Model(chat, price=FREE), *[draft()] * 3) as app:
            assert await run_all(app, 40) == ["fine"] * 40
        assert chat.refused == 0
        assert chat.answered / (now() / 60) >= 0.9 * possible

    virtually(load())


def test_without_limits_the_same_runs_are_refused():
    async def load() -> int:
        chat = limited(requests_per_minute=60)
        async with app_with({}, Model(chat, price=FREE), *[draft()] * 3) as app:
            await run_all(app, 40)
        return chat.refused

    assert virtually(load()) > 0


def test_a_refusal_holds_back_the_calls_of_all_runs_until_the_provider_can_be_asked_again():
    async def load() -> tuple[int, int, float]:
        chat = limited(requests_per_minute=10, seconds=0.0)
        async with app_with({}, Model(chat, price=FREE), draft(retry=Retry(attempts=3, max_wait=90))) as app:
            assert await run_all(app, 10) == ["fine"] * 10
            assert await run_all(app, 1) == ["fine"]
            await run_all(app, 1)
            refused = chat.refused
            await asyncio.sleep(1)
            assert await run_all(app, 1) == ["fine"]
        return refused, chat.refused, now()

    first, last, seconds = virtually(load())
    assert (first, last) == (1, 1)
    assert 60 <= seconds < 62


def test_a_call_that_cannot_have_its_turn_in_time_goes_to_the_backup_at_once():
    async def load() -> float:
        slow, backup = limited(), ScriptedModel(script=["from the backup"])
        role = Model(slow, price=FREE, backup=Model(backup, price=FREE))
        limits = {"benchmarks": RateLimit(requests_per_minute=2)}
        async with app_with(limits, role, draft(seconds=20)) as app:
            assert await run_all(app, 2) == ["fine"] * 2
        assert (slow.answered, len(backup.asked)) == (1, 1)
        return now()

    assert virtually(load()) < 3


def test_a_run_that_nobody_can_serve_in_time_says_so():
    async def load() -> str:
        limits = {"benchmarks": RateLimit(requests_per_minute=2)}
        role, budget = Model(limited(), price=FREE), Budget(seconds=10)
        async with app_with(limits, role, draft(), draft(), budget=budget) as app:
            return str((await app.run("line", QUESTION)).error.message)

    said = virtually(load())
    assert "the limits of benchmarks leave no room for the call within the" in said


def test_a_provider_and_one_of_its_models_both_have_their_limits():
    async def load(limits: dict[str, RateLimit]) -> float:
        async with app_with(limits, Model(limited(seconds=1.0), price=FREE), draft()) as app:
            await run_all(app, 12)
        return now()

    narrow, wide = RateLimit(concurrency=2), RateLimit(concurrency=4)
    name = f"benchmarks:{LimitedModel.__name__}"
    assert virtually(load({"benchmarks": wide})) == pytest.approx(3.0, abs=0.5)
    assert virtually(load({"benchmarks": wide, name: narrow})) == pytest.approx(6.0, abs=0.5)
    assert virtually(load({"benchmarks": narrow, name: wide})) == pytest.approx(6.0, abs=0.5)


UNDER_WAY: list[int] = []


async def fetch(question: str) -> str:
    """Fetch something slowly."""
    UNDER_WAY.append(UNDER_WAY[-1] + 1)
    await asyncio.sleep(1)
    UNDER_WAY.append(UNDER_WAY[-1] - 1)
    return question


def test_a_tool_is_limited_by_its_name():
    async def load() -> int:
        UNDER_WAY[:] = [0]
        node = CallTool(tool=fetch, args={"question": "question"}, into="answer", effect="read")
        role = Model(limited(), price=FREE)
        async with app_with({"the tool 'fetch'": RateLimit(concurrency=2)}, role, node) as app:
            assert await run_all(app, 7) == ["fine"] * 7
        return max(UNDER_WAY)

    assert virtually(load()) == 2


def test_calls_that_wait_when_their_target_breaks_are_not_sent():
    async def load() -> tuple[list[str], int]:
        chat = ScriptedModel(script=[Overloaded("busy")])
        node = draft(breaker=Breaker(failures=2), retry=Retry(attempts=1))
        limits = {"engine": RateLimit(concurrency=1, requests_per_minute=60)}
        async with app_with(limits, Model(chat, price=FREE), node) as app:
            ended = await run_all(app, 30)
        return ended, len(chat.asked)

    ended, asked = virtually(load())
    assert (sorted(set(ended)), asked) == (["BreakerOpen", "Overloaded"], 2)
    assert ended.count("BreakerOpen") == 28


def test_a_cancelled_run_leaves_its_place_to_the_others():
    async def load() -> list[str]:
        limits = {"benchmarks": RateLimit(concurrency=1)}
        async with app_with(limits, Model(limited(), price=FREE), draft()) as app:
            runs = [asyncio.create_task(app.run("line", QUESTION)) for _ in range(5)]
            await asyncio.sleep(1)
            for run in runs[:4]:
                run.cancel()
            await asyncio.gather(*runs[:4], return_exceptions=True)
            return [(await runs[4]).status.value]

    assert virtually(load()) == ["succeeded"]


def test_what_a_provider_says_is_left_is_heeded_and_its_headers_are_not_kept():
    async def load() -> tuple[str, float]:
        message = limited()._message()
        message.response_metadata["headers"] = {"x-ratelimit-remaining-requests": "0", "set-cookie": "a secret"}
        limits = {"engine": RateLimit(requests_per_minute=60)}
        async with app_with(limits, Model(ScriptedModel(script=[message]), price=FREE), draft()) as app:
            result = await app.run("line", QUESTION)
            kept = await app.ledger.contents((await app.ledger.calls(result.run_id))[0].response_payload)
            before = now()
            await app.run("line", QUESTION)
            return str(kept), now() - before

    kept, waited = virtually(load())
    assert "Five days." in kept
    assert "cookie" not in kept
    assert waited > 1  # a request in 60 / 57 seconds

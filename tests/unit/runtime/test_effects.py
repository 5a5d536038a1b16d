"""Effects: an action that may happen once, and of which nobody knows whether it has, is never made again in silence."""

from typing import Any

import pytest

from engine.definition.policies import Budget
from engine.errors import ConnectionFailed, InputError, Overloaded, RateLimited
from engine.nodes.call_tool import CallTool
from engine.records import RunStatus
from tests.flows import app_for, line

DONE: dict[str, str] = {}
FAILS: list[Exception] = []


@pytest.fixture(autouse=True)
def nothing_done():
    DONE.clear()
    FAILS.clear()


async def pay(question: str, *, idempotency_key: str) -> str:
    """Pay, and then perhaps lose the connection."""
    if FAILS and isinstance(FAILS[0], RateLimited):
        raise FAILS.pop()
    DONE[idempotency_key] = DONE.get(idempotency_key, "") + "paid "
    if FAILS:
        raise FAILS.pop()
    return "receipt"


async def lose(question: str, *, idempotency_key: str) -> str:
    """Lose the connection before anything was done."""
    if FAILS:
        raise FAILS.pop()
    DONE[idempotency_key] = "paid "
    return "receipt"


async def look(idempotency_key: str) -> str | None:
    """Say whether it was paid."""
    return "receipt" if idempotency_key in DONE else None


async def look_in_vain(idempotency_key: str) -> str | None:
    """Fail to find out."""
    raise RuntimeError("the books are closed")


async def look_oddly(idempotency_key: str) -> Any:
    """Answer what JSON cannot hold."""
    return object()


def paying(tool=pay, **fields):
    node = CallTool(tool=tool, args={"question": "question"}, into="ticket", retry={"attempts": 3}, **fields)
    return app_for(line(("pay", node), output=["ticket"]))


async def test_without_a_probe_the_run_stops_for_a_person_who_says_that_it_was_done():
    FAILS.append(ConnectionFailed("the line went dead"))
    async with paying() as app:
        stopped = await app.run("line", {"question": "q"})
        assert stopped.status is RunStatus.NEEDS_REVIEW
        (call,) = await app.ledger.calls(stopped.run_id)
        assert call.status == "unknown"
        assert f"flowledger resolve {stopped.run_id} {call.call_id}" in stopped.error.message
        await app.resolve(stopped.run_id, call.call_id, done=True, answer="receipt 7")
        result = await app.resume(stopped.run_id)
        assert result.output == {"ticket": "receipt 7"}
        (call,) = await app.ledger.calls(stopped.run_id)
        assert (call.status, call.resolution, call.error_type) == ("ok", "done", None)
    assert list(DONE.values()) == ["paid "]


async def test_a_person_may_say_that_it_was_not_done():
    FAILS.append(Overloaded("it answered 502"))
    async with paying(tool=lose) as app:
        stopped = await app.run("line", {"question": "q"})
        (call,) = await app.ledger.calls(stopped.run_id)
        await app.resolve(stopped.run_id, call.call_id[:6], done=False)
        assert (await app.resume(stopped.run_id)).output == {"ticket": "receipt"}
        assert [call.status for call in await app.ledger.calls(stopped.run_id)] == ["failed", "ok"]
        with pytest.raises(InputError, match="has succeeded: what its actions answered stands"):
            await app.resolve(stopped.run_id, call.call_id, done=False)


async def test_a_person_who_said_too_soon_that_it_was_not_done_may_take_that_back():
    FAILS.append(ConnectionFailed("the line went dead"))
    async with paying() as app:
        stopped = await app.run("line", {"question": "q"})
        (call,) = await app.ledger.calls(stopped.run_id)
        await app.resolve(stopped.run_id, call.call_id, done=False)
        await app.resolve(stopped.run_id, call.call_id, done=True, answer="receipt 7")
        assert (await app.resume(stopped.run_id)).output == {"ticket": "receipt 7"}
    assert list(DONE.values()) == ["paid "]


async def test_a_run_that_nobody_has_settled_stops_again_and_does_nothing():
    FAILS.append(ConnectionFailed("the line went dead"))
    async with paying() as app:
        stopped = await app.run("line", {"question": "q"})
        again = await app.resume(stopped.run_id)
        assert again.status is RunStatus.NEEDS_REVIEW
        assert len(await app.ledger.calls(stopped.run_id)) == 1
    assert list(DONE.values()) == ["paid "]


async def test_a_probe_that_finds_it_done_answers_in_its_place():
    FAILS.append(ConnectionFailed("the line went dead"))
    async with paying(probe=look) as app:
        result = await app.run("line", {"question": "q"})
        assert result.output == {"ticket": "receipt"}
        (call,) = await app.ledger.calls(result.run_id)
        assert (call.status, call.resolution) == ("ok", "probe")
    assert list(DONE.values()) == ["paid "]


async def test_a_probe_that_finds_nothing_lets_it_be_tried_again():
    FAILS.append(ConnectionFailed("the line went dead"))
    async with paying(tool=lose, probe=look) as app:
        result = await app.run("line", {"question": "q"})
        assert result.output == {"ticket": "receipt"}
        assert [call.status for call in await app.ledger.calls(result.run_id)] == ["failed", "ok"]


async def test_a_probe_that_fails_leaves_it_to_a_person():
    FAILS.append(ConnectionFailed("the line went dead"))
    async with paying(probe=look_in_vain) as app:
        result = await app.run("line", {"question": "q"})
        assert result.status is RunStatus.NEEDS_REVIEW
        assert "its probe failed: RuntimeError: the books are closed" in result.error.message


async def test_a_probe_whose_answer_cannot_be_kept_leaves_it_to_a_person():
    FAILS.append(ConnectionFailed("the line went dead"))
    async with paying(probe=look_oddly) as app:
        result = await app.run("line", {"question": "q"})
        assert result.status is RunStatus.NEEDS_REVIEW
        assert "its probe failed" in result.error.message
        (call,) = await app.ledger.calls(result.run_id)
        assert (call.status, call.resolution) == ("unknown", None)
    assert list(DONE.values()) == ["paid "]


async def test_a_refusal_that_cannot_have_acted_is_tried_again():
    FAILS.append(RateLimited("slow down"))
    async with paying() as app:
        result = await app.run("line", {"question": "q"})
        assert result.output == {"ticket": "receipt"}
    assert list(DONE.values()) == ["paid "]


async def test_an_idempotent_tool_is_tried_again_under_the_same_key():
    FAILS.append(ConnectionFailed("the line went dead"))
    async with paying(effect="idempotent") as app:
        result = await app.run("line", {"question": "q"})
        assert result.output == {"ticket": "receipt"}
        first, second = await app.ledger.calls(result.run_id)
        assert first.idempotency_key == second.idempotency_key
    assert list(DONE.values()) == ["paid paid "]


async def test_a_run_that_used_up_its_budget_goes_on_with_a_larger_one():
    node = CallTool(tool=pay, args={"question": "question"}, into="ticket")
    async with app_for(line(("one", node), ("two", node), budget=Budget(calls=1), output=["ticket"])) as app:
        poor = await app.run("line", {"question": "q"})
        assert poor.status is RunStatus.BUDGET_EXCEEDED
        assert (await app.resume(poor.run_id)).status is RunStatus.BUDGET_EXCEEDED
        assert (await app.resume(poor.run_id, budget=Budget(calls=2))).status is RunStatus.SUCCEEDED
        run = await app.ledger.run(poor.run_id)
        assert (run.calls, run.steps) == (2, len(await app.ledger.steps(poor.run_id)))

"""A call that takes long is made once more beside the first: which answer counts, and what is charged."""

import asyncio
from typing import Any

import pytest

from engine import Budget, CallTool, Generate, Hedge, Model, Price, Retry
from engine.app import App
from engine.errors import Overloaded
from engine.testing import ScriptedModel, VirtualClock, in_virtual_time
from tests.flows import app_for, line

HEDGED = Hedge(after=2, share=1)


class Slow(ScriptedModel):
    """Takes as many seconds as its script says before it speaks or fails."""

    took: list[float] = []

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        number = len(self.asked)
        said = (
            self._generate(messages, stop, None, **kwargs) if not isinstance(self.script[number], Exception) else None
        )
        if said is None:
            self._asked.append(list(messages))
        await asyncio.sleep(self.took[number])
        if said is None:
            raise self.script[number]
        return said


def slow(*said: tuple[Any, float]) -> Slow:
    return Slow(script=[text for text, _ in said], took=[seconds for _, seconds in said])


def draft(**fields: Any) -> Generate:
    given = {"model": "large", "prompt": "{question}", "into": "answer", "max_tokens": 50, "retry": Retry(attempts=1)}
    return Generate(**(given | {"hedge": HEDGED} | fields))


def run(model: Slow, node: Any = None, runs: int = 1, **fields: Any) -> tuple[Any, list[Any], float]:
    """Run one after another in virtual time; give the last result, its calls, and the seconds that passed."""
    workflow = line(("draft", node or draft()), **fields)
    role = Model(model, price=Price(input="1", output="1"))
    app: App = app_for(workflow, clock=VirtualClock(), large=role)

    async def work() -> tuple[Any, list[Any], float]:
        async with app:
            result: Any = None
            for _ in range(runs):
                result = await app.run("line", {"question": "q"})
            calls = list(await app.ledger.calls(result.run_id))
            return result, calls, asyncio.get_running_loop().time()

    return in_virtual_time(work(), is_idle=lambda: app.ledger.is_idle)


def test_a_call_that_is_quick_is_made_once():
    result, calls, _ = run(slow(("one", 1)))
    assert (result.output["answer"], len(calls)) == ("one", 1)


def test_the_second_attempt_counts_where_it_answers_first_and_both_are_charged():
    result, calls, seconds = run(slow(("one", 30), ("two", 1)))
    assert result.output["answer"] == "two"
    assert seconds == pytest.approx(3, abs=0.5)
    first, second = sorted(calls, key=lambda call: call.attempt)
    assert [(first.status, first.purpose), (second.status, second.purpose)] == [
        ("cancelled", "answer"),
        ("ok", "hedge"),
    ]
    assert first.charged_tokens >= 50
    assert second.charged_tokens == 15


def test_the_first_attempt_counts_where_it_answers_first():
    result, calls, _ = run(slow(("one", 3), ("two", 30)))
    assert (result.output["answer"], [call.status for call in calls]) == ("one", ["ok", "cancelled"])


@pytest.mark.parametrize("said", [[(Overloaded("no"), 3), ("two", 5)], [("one", 9), (Overloaded("no"), 1)]])
def test_where_one_attempt_fails_the_other_is_waited_for(said):
    result, calls, _ = run(slow(*said))
    assert (result.status, sorted(call.status for call in calls)) == ("succeeded", ["failed", "ok"])


def test_where_both_fail_the_next_retry_counts_on():
    model = slow((Overloaded("one"), 9), (Overloaded("two"), 3), ("three", 1))
    result, calls, _ = run(model, draft(retry=Retry(attempts=2)))
    assert (result.output["answer"], sorted(call.attempt for call in calls)) == ("three", [1, 2, 3])


def test_a_second_attempt_that_the_budget_does_not_allow_is_not_made():
    result, calls, _ = run(slow(("one", 9), ("two", 1)), budget=Budget(calls=1))
    assert (result.output["answer"], len(calls)) == ("one", 1)


def test_a_target_that_is_slow_for_everybody_is_not_asked_twice_by_all():
    model = slow(*[("x", 9)] * 12)
    run(model, draft(hedge=Hedge(after=2, share=0.1)), runs=10)
    assert len(model.asked) == 11


def test_a_call_that_somebody_listens_to_is_made_once():
    model = slow(("one", 9), ("two", 1))
    app = app_for(line(("draft", draft())), clock=VirtualClock(), large=model)

    async def work() -> Any:
        async with app:
            return await app.run("line", {"question": "q"}, listener=lambda event: None)

    assert in_virtual_time(work(), is_idle=lambda: app.ledger.is_idle).calls == 1


SENT: list[str] = []


async def send(question: str) -> str:
    """Send it, slowly."""
    SENT.append(question)
    await asyncio.sleep(9)
    return "sent"


@pytest.mark.parametrize(("effect", "times"), [("once", 1), ("idempotent", 2)])
def test_what_acts_once_is_never_done_twice(effect, times):
    SENT.clear()
    tool = CallTool(tool=send, args={"question": "question"}, into="ticket", effect=effect, hedge=HEDGED)
    result, _, _ = run(slow(("x", 0)), tool)
    assert (result.output["ticket"], len(SENT)) == ("sent", times)


def test_a_second_attempt_is_no_retry_of_the_budget_when_a_run_goes_on():
    first = slow(("one", 30), ("two", 1), (Overloaded("no"), 0), (Overloaded("no"), 0), ("three", 0))
    workflow = line(("draft", draft()), ("second", draft(hedge=None)), budget=Budget(retries=1))
    app = app_for(workflow, clock=VirtualClock(), large=Model(first, price=Price(input="1", output="1")))

    async def work() -> Any:
        async with app:
            failed = await app.run("line", {"question": "q"})
            again = draft(hedge=None, retry=Retry(attempts=2, wait=0))
            app.workflows["line"] = line(("draft", draft()), ("second", again), budget=Budget(retries=1))
            return await app.resume(failed.run_id, accept_version=True)

    assert in_virtual_time(work(), is_idle=lambda: app.ledger.is_idle).output["answer"] == "three"


def test_a_run_that_is_cancelled_cancels_both_attempts():
    model = slow(("one", 99), ("two", 99))
    app = app_for(line(("draft", draft())), clock=VirtualClock(), large=model)

    async def work() -> list[str]:
        async with app:
            running = asyncio.create_task(app.run("line", {"question": "q"}))
            await asyncio.sleep(5)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            (record,) = await app.ledger.runs()
            return [call.status for call in await app.ledger.calls(record.run_id)]

    assert in_virtual_time(work(), is_idle=lambda: app.ledger.is_idle) == ["cancelled", "cancelled"]

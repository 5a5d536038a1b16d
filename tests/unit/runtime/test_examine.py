"""A guardrail that only watches, fails or takes too long; and what the report says of them."""

import asyncio
import json
from datetime import timedelta

import pytest

from engine.definition.guardrail import Action, Guardrail, Verdict
from engine.nodes.agent import Agent
from engine.nodes.agent_tool import AgentTool
from engine.nodes.generate import Generate
from engine.records import RunStatus
from engine.reports.guards import guard_costs, guards
from engine.testing import asking_for
from tests.desk import REFUNDED, desk, refund
from tests.flows import StillClock, app_for, line, scripted


class Blocking(Guardrail):
    def check_text(self, text, item):
        return Verdict(action=Action.BLOCK, reason="no")


class Broken(Guardrail):
    def check_text(self, text, item):
        raise ValueError("out of order")


class Slow(Guardrail):
    async def check(self, item):
        await asyncio.sleep(3600)
        return []


def draft(guard):
    return Generate(model="large", prompt="{question}", into="answer", max_tokens=50, guard_output=[guard])


async def ended(guard):
    async with app_for(line(("draft", draft(guard))), large=scripted("fine")) as app:
        result = await app.run("line", {"question": "q"})
        (verdict,) = await app.ledger.verdicts(result.run_id)
        return result.status, verdict.action, verdict.reason, await guards(app.ledger)


async def test_in_shadow_a_verdict_is_written_down_and_nothing_is_done():
    status, action, reason, rows = await ended(Blocking(shadow=True))
    assert (status, action, reason) == (RunStatus.SUCCEEDED, "flag", "in shadow, would block: no")
    (row,) = rows
    assert (row.guardrail, row.action) == ("blocking", "flag")
    assert (row.fires, row.shadow, row.runs, row.succeeded) == (1, 1, 1, 1)
    assert json.loads(json.dumps(row.to_json()))["stage"] == "model_output"


class Timed(Guardrail):
    """Takes a millisecond more with every look."""

    async def check(self, item):
        CLOCK.pass_ms(LOOKS.pop())
        return []


LOOKS = []


class CountedClock(StillClock):
    passed_ns = 0

    def pass_ms(self, ms):
        self.passed_ns += int(ms * 1e6)

    def monotonic_ns(self):
        return self.passed_ns


CLOCK = CountedClock()


async def test_the_report_says_how_long_guardrails_took_also_those_that_found_nothing():
    LOOKS[:] = [*range(1, 20), 100.4]
    async with app_for(line(("draft", draft(Timed()))), clock=CLOCK, large=scripted("fine")) as app:
        for _ in range(20):
            await app.run("line", {"question": "q"})
        (cost,) = await guard_costs(app.ledger)
        assert await guard_costs(app.ledger, since=app.clock.now() + timedelta(seconds=1)) == []
        assert await guards(app.ledger) == []
    assert cost.to_json() == {
        "guardrail": "timed",
        "checks": 20,
        "p50_ms": 10.0,
        "p95_ms": 19.0,
        "judged": 0,
        "judge_usd": 0.0,
        "cost_unknown": 0,
    }


class Doubting(Guardrail):
    def check_text(self, text, item):
        return Verdict(action=Action.REQUIRE_APPROVAL, reason="who knows")


async def test_the_report_says_how_often_a_person_decided_against_a_guardrail():
    async with app_for(line(("draft", draft(Doubting()))), large=scripted("fine")) as app:
        for decision in (True, True, False, None):
            waiting = await app.run("line", {"question": "q"})
            if decision is not None:
                await app.answer(waiting.run_id, refuse=not decision)
                await app.resume(waiting.run_id)
        (row,) = await guards(app.ledger)
    assert (row.action, row.overridden, row.upheld, row.runs) == ("require_approval", 2, 1, 4)


@pytest.mark.parametrize(
    ("on_error", "status", "action"), [("closed", RunStatus.FAILED, "block"), ("open", RunStatus.SUCCEEDED, "flag")]
)
async def test_one_that_fails_stops_the_run_unless_it_is_to_let_pass(on_error, status, action):
    found = await ended(Broken(on_error=on_error))
    assert found[:3] == (status, action, "it failed: ValueError: out of order")


async def test_one_that_takes_too_long_stops_the_run():
    assert (await ended(Slow(seconds=0.001)))[:3] == (
        RunStatus.FAILED,
        "block",
        "it took longer than its 0.001 seconds",
    )


async def test_before_a_side_effect_one_that_fails_always_stops_the_run():
    REFUNDED.clear()
    agent = Agent(
        model="large",
        prompt="{question}",
        tools=[AgentTool(tool=refund, effect="once")],
        into="answer",
        max_tokens=50,
        guard_calls=[Broken(on_error="open")],
    )
    role = scripted(asking_for(("refund", {"order": "A1", "amount": 5})), "I could not.")
    async with app_for(desk(agent), large=role) as app:
        assert (await app.run("desk", {"question": "q"})).error.type == "GuardrailFailed"
    assert REFUNDED == []


async def test_what_a_tool_answers_is_guarded_before_the_model_hears_it():
    agent = Agent(
        model="large",
        prompt="{question}",
        tools=[AgentTool(tool=refund, effect="once")],
        into="answer",
        max_tokens=50,
        guard_answers=[Blocking()],
    )
    role = scripted(asking_for(("refund", {"order": "A1", "amount": 5})), "Done.")
    async with app_for(desk(agent), large=role) as app:
        assert (await app.run("desk", {"question": "q"})).status is RunStatus.SUCCEEDED
    assert role.model.asked[1][-1].content == "the guardrail 'blocking' says: no"

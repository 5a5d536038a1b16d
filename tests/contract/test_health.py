"""Health is read from the ledger on every database: failures, latency and what else went other than well."""

from datetime import timedelta

import pytest

from engine.errors import InputError
from engine.records import RunStatus, VerdictRecord
from engine.reports.health import health
from tests.contract.test_costs import NOW, call, run, step
from tests.flows import run_id


async def test_calls_are_told_apart_and_those_that_fail_most_come_first(ledger):
    said = VerdictRecord(run_id=run_id(1), guardrail="pii", stage="run_input", action="mask", reason="", created_at=NOW)
    await ledger.commit([run(1), run(2, status=RunStatus.FAILED), run(3, started_at=NOW - timedelta(days=2)), said])
    await ledger.commit([step(1, cached=True), step(1, 2, fallback_to="small"), call(3, 999)])
    for number in range(1, 41):
        fields = {"tool_name": "pay", "operation_name": "execute_tool", "status": "failed" if number % 4 else "ok"}
        await ledger.commit([call(1, number, ordinal=number, duration_ns=number * 10**9, usage_input_tokens=10)])
        await ledger.commit([call(2, 100 + number, ordinal=number, **fields)])
    found = await health(ledger, ["tool"], since=NOW - timedelta(hours=1), now=NOW + timedelta(hours=1))
    pay, chat = found.rows
    assert (pay.dimensions, pay.calls, pay.failed, pay.seconds) == ({"tool": "pay"}, 40, 30, {})
    assert pay.failure.low < 0.75 < pay.failure.high
    assert (chat.calls, chat.failed, chat.input_tokens, chat.cached_tokens) == (40, 0, 400, 0)
    value, ends = chat.seconds["p50"]
    assert (value, ends.low < value < ends.high) == (20.5, True)
    assert (found.calls, found.is_sample, found.hours) == (80, False, 2)
    assert (found.runs, found.guardrails) == ({"failed": 1, "succeeded": 1}, {"pii mask": 1})
    assert (found.fallbacks, found.cached_steps, found.open_breakers, found.queue_lag) == (1, 0.5, [], None)


async def test_what_people_did_not_ask_for_is_left_out_unless_origins_are_asked_for(ledger):
    """As alarms do: neither a judge nor an experiment says how well the runs that people ask for go."""
    origins = ("run", "experiment", "judge", "replay", "import")
    for number, origin in enumerate(origins, 1):
        await ledger.commit([run(number, origin=origin), call(number, number)])
    time = {"since": NOW - timedelta(hours=1), "now": NOW + timedelta(hours=1)}
    found = await health(ledger, ["workflow"], **time)
    assert (found.calls, found.runs) == (1, {"succeeded": 1})
    rows = (await health(ledger, ["origin"], **time)).rows
    assert {row.dimensions["origin"]: row.calls for row in rows} == {"run": 1, "experiment": 1, "judge": 1}


async def test_the_newest_runs_are_looked_at_where_there_are_too_many_calls(ledger, monkeypatch):
    monkeypatch.setattr("engine.reports.health.MOST_CALLS", 5)
    for number in range(1, 5):
        began = NOW + timedelta(minutes=number)
        said = VerdictRecord(
            run_id=run_id(number), guardrail="pii", stage="run_input", action="mask", reason="", created_at=began
        )
        await ledger.commit([run(number, started_at=began, calls=2), step(number), said])
        await ledger.commit([call(number, 10 * number + one, ordinal=one) for one in (1, 2)])
    found = await health(ledger, ["tool"], since=NOW, now=NOW + timedelta(hours=1))
    assert (found.is_sample, found.since, found.calls) == (True, NOW + timedelta(minutes=3), 4)
    assert (found.runs, found.guardrails, found.hours) == ({"succeeded": 2}, {"pii mask": 2}, 57 / 60)
    monkeypatch.setattr("engine.reports.health.MOST_CALLS", 1)
    alone = await health(ledger, ["tool"], since=NOW, now=NOW + timedelta(hours=1))
    assert (alone.is_sample, alone.calls) == (True, 2), "the newest run is looked at in any case"
    monkeypatch.setattr("engine.reports.health.MOST_CALLS", 8)
    assert not (await health(ledger, ["tool"], since=NOW, now=NOW + timedelta(hours=1))).is_sample


async def test_what_calls_are_not_told_apart_by_is_named(ledger):
    for by in ([], ["colour"], ["tool", "tool"]):
        with pytest.raises(InputError, match="calls are told apart by node"):
            await health(ledger, by, since=NOW, now=NOW)

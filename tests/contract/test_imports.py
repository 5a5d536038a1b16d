"""Trajectories that were recorded elsewhere become runs, outcomes, cases and scores, once."""

import math
from datetime import timedelta
from statistics import fmean, stdev

import pytest

from engine.errors import InputError
from engine.evals.evaluation import Evaluation
from engine.evals.evaluators import Arguments, Tools
from engine.evals.gate import Decision
from engine.evals.trajectories import Trajectory
from engine.reports.health import health
from engine.reports.measures import Wanted, measure
from engine.reports.per_outcome import cost_per_outcome
from engine.store import samples
from guardrails import Pii
from tests.databases import SHARED
from tests.flows import app_for, line, noting


def trip(task: int, reward: float, **more) -> Trajectory:
    use = {"id": "c1", "type": "function", "function": {"name": "book", "arguments": f'{{"seat": {task}}}'}}
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": f"Book seat {task}, I am ann@example.com."},
        {"role": "assistant", "content": None, "tool_calls": [use], "cost_usd": 0.25},
        {"role": "tool", "tool_call_id": "c1", "content": '{"booked": true}'},
        {
            "role": "assistant",
            "content": "It is booked.",
            "usage": {"input_tokens": 7, "output_tokens": 3},
            "cost_usd": 0.5,
        },
    ]
    expect = {"tools": [{"name": "book", "arguments": {"seat": task}}]}
    return Trajectory(task=task, messages=messages, reward=reward, expect=expect, model="m", provider="openai", **more)


REWARDS = {1: [1, 1, 0], 2: [0, 0, 0], 3: [1, 1, 1], 4: [1, 0, 0]}
TRIPS = [trip(task, reward) for task, rewards in REWARDS.items() for reward in rewards]


@SHARED
async def test_trajectories_become_runs_with_calls_costs_and_outcomes(url):
    async with app_for(line(("only", noting())), database=url) as app:
        done = await app.import_trajectories(TRIPS, name="elsewhere", workflow="trips")
        assert (done.runs, done.known, done.record.trials) == (12, 0, 3)
        runs = await app.ledger.runs(workflow="trips")
        assert len(runs) == 12
        assert {(run.status, run.origin, run.calls, run.cost_nano_usd) for run in runs} == {
            ("succeeded", "import", 3, 750_000_000)
        }
        calls = await app.ledger.calls(runs[0].run_id)
        assert [call.operation_name for call in calls] == ["chat", "execute_tool", "chat"]
        assert (calls[1].tool_name, await app.ledger.value(calls[1].response_payload)) == ("book", {"booked": True})
        assert [len((await app.ledger.value(call.request_payload))["messages"]) for call in calls[::2]] == [2, 4]
        rows = await cost_per_outcome(app.ledger, ["workflow"])
        assert [(row.runs, row.successes) for row in rows] == [(12, 6)]


@SHARED
async def test_imported_runs_tell_nothing_of_how_the_runs_that_people_ask_for_go(url):
    async with app_for(line(("only", noting())), database=url) as app:
        await app.import_trajectories([trip(1, 0, status="failed", error="lost")], name="elsewhere")
        now = app.clock.now() + timedelta(seconds=1)
        since = now - timedelta(hours=1)
        seen = await health(app.ledger, ["node"], since=since, now=now)
        assert (seen.calls, seen.runs, seen.cached_steps) == (0, {}, None)
        watched = Wanted(metric="run_failure_rate", baseline=since - timedelta(hours=1), since=since, until=now)
        assert (await measure(app.ledger, watched)).many == 0
        drawn = await app.ledger.read(lambda connection: samples.begun(connection, "imported", (since, "")))
        assert drawn == []


@SHARED
async def test_an_import_that_is_made_again_changes_nothing(url):
    async with app_for(line(("only", noting())), database=url) as app:
        first = await app.import_trajectories(TRIPS, name="elsewhere")
        again = await app.import_trajectories(TRIPS, name="elsewhere")
        assert (again.record, again.runs, again.known) == (first.record, 0, 12)
        runs = await app.ledger.runs()
        assert (len(runs), len(await app.ledger.outcomes(runs[0].run_id))) == (12, 1)


async def test_pass_hat_and_the_clustered_error_are_those_of_the_rewards():
    async with app_for(line(("only", noting()))) as app:
        done = await app.import_trajectories(TRIPS, name="elsewhere")
        (row,) = await app.metrics_of(done.record)
        assert row.pass_hat == pytest.approx([0.5, fmean([1 / 3, 0, 1, 0]), 0.25])
        means = [fmean(rewards) for rewards in REWARDS.values()]
        assert (row.mean.value, row.mean.error) == pytest.approx((0.5, stdev(means) / math.sqrt(4)))


async def test_imported_runs_are_scored_anew_by_evaluators_of_the_way():
    app = app_for(line(("only", noting())))
    app.evaluation = Evaluation(evaluators={"trips": [Tools(), Arguments()]})
    async with app:
        done = await app.import_trajectories(TRIPS, name="elsewhere", workflow="trips")
        await app.rescore("elsewhere")
        metrics = {row.name: row.mean.value for row in await app.metrics_of(done.record)}
        assert metrics == {"reward": 0.5, "succeeded": 1, "tools": 1, "arguments": 1}


async def test_a_gate_compares_two_imports_case_by_case():
    async with app_for(line(("only", noting()))) as app:
        before = [trip(task, 1) for task in range(30)]
        after = [trip(task, float(task % 2)) for task in range(30)]
        await app.import_trajectories(before, name="before")
        await app.import_trajectories(after, name="after")
        gate = await app.gate("before", "after")
        assert (gate.decision, gate.metrics[0].cases, gate.metrics[0].worse) == (Decision.FAIL, 30, 15)


async def test_what_redacts_cases_redacts_all_that_is_imported():
    app = app_for(line(("only", noting())))
    app.evaluation = Evaluation(redact=[Pii(action="mask")])
    async with app:
        await app.import_trajectories(TRIPS[:1], name="elsewhere")
        (run,) = await app.ledger.runs()
        (call, *_) = await app.ledger.calls(run.run_id)
        said = [await app.ledger.value(run.input_payload), await app.ledger.value(call.request_payload)]
        assert "ann@example.com" not in str(said)
        assert "Book seat 1" in str(said)


async def test_a_message_that_is_none_is_said():
    odd = trip(1, 1).model_copy(update={"messages": [{"role": "robot", "content": "hi"}]})
    async with app_for(line(("only", noting()))) as app:
        with pytest.raises(InputError, match="task 1, message 1: its role is 'robot'"):
            await app.import_trajectories([odd], name="odd")

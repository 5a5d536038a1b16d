"""Runs that people asked for are sampled by their ids and scored once, and tell of all runs by weighted means."""

import asyncio
from datetime import timedelta

import pytest

from engine import Alarm, Evaluation, Sampling, Worker
from engine.definition.policies import Budget
from engine.errors import ConfigurationError, InputError
from engine.evals.evaluators import Judge
from engine.evals.sampling import draw
from engine.nodes.generate import Generate
from engine.records import RunStatus
from engine.reports.online import online_scores
from engine.store import samples
from engine.testing import StillClock
from tests.contract.test_costs import run
from tests.databases import SHARED
from tests.flows import app_for, line, scripted

SAYS = line(("say", Generate(model="large", prompt="{question}", into="answer", max_tokens=50)), name="says")
COSTS = line(
    ("judge", Generate(model="judge", prompt="{question}", into="answer", max_tokens=5)),
    name="costs",
    budget=Budget(usd="0.0005"),
)


def is_short(trial):
    """Say whether the answer is short."""
    return len(trial.output["answer"]) < 5


def sampled(url="sqlite:///:memory:", *, clock=None, script=("yes", "a long answer"), **options):
    app = app_for(SAYS, COSTS, large=scripted(*script), judge=scripted("1"), database=url, clock=clock)
    sampling = Sampling(**{"workflow": "says", "rate": 1.0, "evaluators": [is_short]} | options)
    app.evaluation = Evaluation(online=[sampling])
    return app


@SHARED
async def test_every_drawn_run_is_scored_once_whoever_looks(url):
    clock = StillClock()
    async with sampled(url, clock=clock) as app, sampled(url, clock=clock) as other:
        for _ in range(2):
            await app.run("says", {"question": "q"}, user="u1")
        looked = await asyncio.gather(app.evaluate_online(), other.evaluate_online())
        assert sum(one.scored for one in looked) == 2
        assert (await other.evaluate_online()).scored == 0, "it is not yet time to look again"
        assert (await other.evaluate_online(since=clock.now() - timedelta(days=1))).scored == 0
        rows = {row.evaluator: row for row in await online_scores(app.ledger, ["workflow"])}
        short = rows["is-short"]
        assert (short.drawn, short.missing, short.mean.many, short.mean.value) == (2, 0, 2, 0.5)
        assert short.to_json()["interval"][0] == pytest.approx(short.interval.low)
        assert (rows["succeeded"].mean.value, await app.ledger.read(lambda c: samples.counts(c, "says"))) == (
            1.0,
            {"scored": 2},
        )


async def test_strata_are_drawn_at_their_own_rates_and_weighted_by_them():
    async with sampled(rates={"status=failed": 1.0}, rate=0.2, evaluators=[]) as app:
        records = [
            run(n, workflow="says", status=RunStatus.FAILED if n % 10 == 0 else RunStatus.SUCCEEDED)
            for n in range(1, 501)
        ]
        await app.ledger.commit(records)
        looked = await app.evaluate_online(since=records[0].started_at)
        drawn = [one for one in records if draw(one.run_id) < (1.0 if one.status == "failed" else 0.2)]
        assert (looked.scored, looked.left) == (len(drawn), 0)
        (row,) = await online_scores(app.ledger, ["workflow"])
        assert row.mean.value == pytest.approx(0.9, abs=0.03), "50 of 500 failed"
        assert row.interval.low < 0.9 < row.interval.high
        assert row.mean.total == pytest.approx(500, rel=0.2)
        assert row.mean.effective < row.mean.many
        strata = {one.dimensions["stratum"]: one for one in await online_scores(app.ledger, ["stratum"])}
        assert (strata["status=failed"].mean.value, strata["rest"].mean.value) == (0.0, 1.0)


async def test_a_run_that_has_not_ended_is_looked_at_again_when_it_has():
    async with sampled(rates={"status=failed": 1.0}, rate=0.0, evaluators=[]) as app:
        waits, works = run(1, workflow="says", status=RunStatus.WAITING), run(2, workflow="says", status="running")
        await app.ledger.commit([waits, works])
        since = waits.started_at
        assert (await app.evaluate_online(since=since)).scored == 0
        assert await app.ledger.read(lambda c: samples.counts(c, "says")) == {"pending": 2}
        await app.ledger.change(lambda c: end(c, waits.run_id, "failed"))
        await app.ledger.change(lambda c: end(c, works.run_id, "succeeded"))
        looked = await app.evaluate_online(since=since)
        assert (looked.scored, looked.left) == (1, 1)
        assert await app.ledger.read(lambda c: samples.counts(c, "says")) == {"scored": 1}


def end(connection, run_id, status):
    from engine.store.lease import touch_run

    touch_run(connection, run_id, status=status)


async def test_judges_stop_at_the_budget_of_the_day_and_rules_go_on():
    judge = Judge(workflow="costs", given={"question": "output.answer"}, verdict="ready")
    clock = StillClock()
    async with sampled(evaluators=[is_short, judge], usd_per_day="0.000515", clock=clock) as app:
        for _ in range(4):
            await app.run("says", {"question": "q"})
        assert (await app.evaluate_online()).scored == 4
        rows = {row.evaluator: row for row in await online_scores(app.ledger, ["workflow"])}
        judged = [one for one in await app.ledger.runs() if one.origin == "judge"]
        assert 1 <= len(judged) < 4, "each may cost 0.0005 and costs 0.000015"
        assert sum(one.cost_nano_usd or 0 for one in judged) <= 515_000
        assert rows["is-short"].missing == 0
        assert rows["judge-costs"].missing == 4 - len(judged)
        clock.advance(86_400)
        await app.run("says", {"question": "q"})
        assert (await app.evaluate_online(since=clock.now())).scored == 1
        again = [one for one in await app.ledger.runs() if one.origin == "judge"]
        assert len(again) == len(judged) + 1


@SHARED
async def test_another_worker_goes_on_where_one_died(url):
    clock = StillClock()
    async with sampled(url, clock=clock) as dead, sampled(url, clock=clock) as other:
        await dead.run("says", {"question": "q"})
        now = clock.now()
        assert await dead.ledger.change(lambda c: samples.claim(c, "says", now, now, now)) is not None
        clock.advance(59)
        assert (await other.evaluate_online()).scored == 0, "somebody has it"
        clock.advance(2)
        assert (await other.evaluate_online()).scored == 1


async def test_a_worker_scores_and_watches_by_itself_beside_its_runs():
    alarm = Alarm(name="any", metric="run_failure_rate", below=2, least=1, sure=False)
    async with sampled() as app:
        app.alarms = (alarm,)
        await app.enqueue("says", {"question": "q"})
        worker = Worker(app)
        work = asyncio.create_task(worker.run())
        for _ in range(500):
            app.clock.advance(1)
            counts = await app.ledger.read(lambda c: samples.counts(c, "says"))
            if counts == {"scored": 1} and await app.alarm_events():
                break
            await asyncio.sleep(0.02)
        worker.drain()
        await work
        assert counts == {"scored": 1}
        assert [event.what for event in await app.alarm_events()] == ["raised"]


def raises(trial):
    """Raise."""
    raise RuntimeError("no")


async def test_an_evaluator_that_raises_is_written_down_and_the_others_go_on():
    async with sampled(evaluators=[raises, is_short]) as app:
        await app.run("says", {"question": "q"})
        assert (await app.evaluate_online()).scored == 1
        assert {row.evaluator for row in await online_scores(app.ledger, ["workflow"])} == {"succeeded", "is-short"}
        with pytest.raises(InputError, match="sampled runs are told apart by"):
            await online_scores(app.ledger, ["colour"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate": 1.5}, "has the rate 1.5 for rest"),
        ({"rates": {"colour=red": 1}}, "is none: write status=failed"),
        ({"rates": {"status": 1}}, "is none: write status=failed"),
        ({"usd_per_day": "much"}, "may cost 'much'"),
        ({"concurrency": 0}, "at least 1"),
        ({"concurrency": "2"}, "scores '2' at once: a number"),
        ({"rate": "x"}, "has the rate 'x' for rest: a share"),
        ({"rate": None}, "has the rate None for rest: a share"),
        ({"rates": 1}, "has the rates 1: write"),
        ({"rates": {"status=failed": "all"}}, "has the rate 'all' for status=failed"),
        ({"evaluators": is_short}, "write a list of them"),
    ],
)
def test_a_sampling_that_cannot_be_is_refused_in_a_sentence(options, said):
    with pytest.raises(ConfigurationError, match=said):
        Sampling(workflow="says", **options)

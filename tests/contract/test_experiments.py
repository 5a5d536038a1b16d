"""Experiments run each trial once, under a budget, go on where they stopped, and are scored anew for nothing."""

import asyncio
from decimal import Decimal

import pytest

from engine.definition.policies import Budget
from engine.definition.state import State
from engine.errors import ConfigurationError, InputError
from engine.evals.case import Case
from engine.evals.evaluation import Evaluation
from engine.evals.evaluators import Equals, Judge, Preferred
from engine.evals.experiments import Plan
from engine.nodes.compute import Compute
from engine.nodes.generate import Generate
from engine.reports.cost import cost_by
from engine.reports.per_outcome import cost_per_outcome
from tests.databases import SHARED
from tests.flows import app_for, line, scripted

FAQ = [Case(input={"question": f"What is {word}?"}, expect={"answer": "yes"}) for word in ("a run", "a step", "a call")]
SAYS = Generate(model="large", prompt="{question}", into="answer", max_tokens=50)


def is_yes(question: str) -> bool:
    """Say whether the text is yes."""
    return question == "yes"


class Pair(State):
    first: str
    second: str
    better: str = ""


def the_first(first: str) -> str:
    """Always prefer the first."""
    return "first"


def says(**fields):
    return line(("say", SAYS), name="says", **fields)


JUDGES = line(("judge", Compute(function=is_yes, into="ready")), name="judges")
COSTS = line(("judge", SAYS), name="costs")
PREFERS = line(("prefer", Compute(function=the_first, into="better")), name="prefers", state=Pair)


def tried(workflow, *evaluators, script=("yes", "no", "yes"), **options):
    app = app_for(workflow, JUDGES, COSTS, large=scripted(*script), **options)
    app.evaluation = Evaluation(evaluators={"says": evaluators or [Equals(of="answer")]})
    return app


@SHARED
async def test_every_trial_is_run_once_and_scored(url):
    async with tried(says(), script=["yes", "no", "yes", "yes", "yes", "no"], database=url) as app:
        await app.add_cases("faq", FAQ)
        seen: list[tuple[int, int]] = []
        plan = Plan(concurrency=1, on_progress=lambda done, total: seen.append((done, total)))
        found = await app.experiment("says", "faq", trials=2, name="nightly", plan=plan)
        assert (found.done, found.total, found.stopped, seen[-1]) == (6, 6, None, (6, 6))
        assert found.record.ended_at is not None
        rows = {row.name: row for row in await app.metrics_of(found.record)}
        assert rows["succeeded"].pass_hat == [1.0, 1.0]
        assert rows["equals-answer"].mean is not None
        assert rows["equals-answer"].mean.value == pytest.approx(4 / 6)
        assert rows["equals-answer"].pass_hat == pytest.approx([4 / 6, 1 / 3])
        assert len(rows["equals-answer"].flaky) == 2
        again = await app.go_on_with("nightly")
        assert (again.done, again.record) == (6, found.record)
        assert [run.origin for run in await app.ledger.runs()] == ["experiment"] * 6
        assert await cost_per_outcome(app.ledger, ["workflow"]) == []
        assert (await app.experiments())[0] == found.record


async def test_an_experiment_stops_before_it_could_pass_its_budget_and_goes_on_with_more():
    each = Decimal("0.0005")  # what a run may spend; it costs 0.000015
    async with tried(says(budget=Budget(usd=each))) as app:
        await app.add_cases("faq", FAQ)
        limit = Plan(max_nano_usd=520_000)
        found = await app.experiment("says", "faq", plan=limit)
        assert (found.done, found.record.ended_at) == (2, None)
        assert found.stopped is not None
        assert "does not suffice for another run of 'says'" in found.stopped
        (row,) = await cost_by(app.ledger, ["workflow"])
        assert row.cost_usd == 2 * Decimal("0.000015")
        rest = await app.go_on_with(found.record.experiment_id, limit)
        assert (rest.done, rest.record.ended_at is not None) == (3, True)
        assert len(await app.ledger.runs()) == 3
    async with tried(says()) as app:
        await app.add_cases("faq", FAQ)
        with pytest.raises(InputError, match="has no budget in USD"):
            await app.experiment("says", "faq", plan=limit)


async def test_an_experiment_that_was_interrupted_goes_on_where_it_stopped():
    async with tried(says()) as app:
        await app.add_cases("faq", FAQ)
        work: list[asyncio.Task[object]] = []
        stops = Plan(concurrency=1, on_progress=lambda done, total: work[0].cancel())
        work.append(asyncio.create_task(app.experiment("says", "faq", trials=2, plan=stops)))
        with pytest.raises(asyncio.CancelledError):
            await work[0]
        (record,) = await app.experiments()
        assert record.ended_at is None
        assert len([run for run in await app.ledger.runs() if run.status == "succeeded"]) < 6
        rest = await app.go_on_with(record.experiment_id)
        assert (rest.done, rest.record.ended_at is not None) == (6, True)
        assert len([run for run in await app.ledger.runs() if run.status == "succeeded"]) == 6


async def test_a_changed_workflow_is_tried_with_its_changes_and_gone_on_with_by_them_only():
    async with tried(says()) as app:
        await app.add_cases("faq", FAQ)
        changed = await app.experiment("says", "faq", settings=["prompt.say=Better: {question}"])
        assert changed.record.version != app.workflow("says").version
        assert {run.version for run in await app.ledger.runs()} == {changed.record.version}
        assert (await app.go_on_with(changed.record.experiment_id)).done == 3
        app.workflows["says"] = says(description="another")
        with pytest.raises(InputError, match="is not what it was"):
            await app.go_on_with(changed.record.experiment_id)


async def test_runs_are_scored_anew_without_running_and_judges_are_asked_once():
    judge = Judge(workflow="costs", given={"question": "output.answer"}, verdict="ready", votes=2)
    async with tried(says()) as app:
        await app.add_cases("faq", FAQ)
        found = await app.experiment("says", "faq")
        scored = await app.rescore(found.record.experiment_id, Plan(evaluators=[judge]))
        runs = await app.ledger.runs()
        assert (scored.done, len(runs)) == (3, 9)
        judging = [run for run in runs if run.origin == "judge"]
        assert {run.parent_run_id for run in judging} == {run.run_id for run in runs if run.origin == "experiment"}
        assert {row.dimensions["use"] for row in await cost_by(app.ledger, ["use"])} == {"answer", "evaluation"}
        await app.rescore(found.record.experiment_id, Plan(evaluators=[judge]))
        assert len(await app.ledger.runs()) == 9
        row = next(row for row in await app.metrics_of(found.record) if row.name == "judge-costs")
        assert (row.deterministic, row.trials) == (False, 3)


async def test_a_judge_says_how_good_and_one_that_prefers_what_comes_first_decides_nothing():
    judge = Judge(workflow="judges", given={"question": "output.answer"}, verdict="ready")
    prefers = Preferred(workflow="prefers", of="output.answer", against="expect.answer")
    app = app_for(says(), JUDGES, PREFERS, large=scripted("yes", "no", "yes"))
    app.evaluation = Evaluation(evaluators={"says": [judge, prefers]})
    async with app:
        await app.add_cases("faq", FAQ)
        found = await app.experiment("says", "faq", plan=Plan(concurrency=1))
        rows = {row.name: row for row in await app.metrics_of(found.record)}
        assert rows["judge-judges"].mean is not None
        assert rows["judge-judges"].mean.value == pytest.approx(2 / 3)
        assert rows["preferred-prefers"].mean is not None
        assert rows["preferred-prefers"].mean.value == 0.5


async def test_an_input_that_does_not_fit_is_named_before_anything_is_run():
    async with tried(says()) as app:
        await app.add_cases("faq", [*FAQ, unfit := Case(input={"questoin": "What is a step?"})])
        with pytest.raises(
            InputError, match=rf"'says' cannot take the case {unfit.case_id}: .*question: field required"
        ):
            await app.experiment("says", "faq")
        await app.add_cases("fit", FAQ)
        with pytest.raises(ConfigurationError, match="is a list: an evaluator is a function"):
            await app.experiment("says", "fit", plan=Plan(evaluators=["tests.contract.test_experiments:FAQ"]))
        assert (await app.experiments(), await app.ledger.runs(limit=1)) == ([], [])


async def test_what_cannot_be_is_said_before_or_in_one_sentence():
    async with tried(says()) as app:
        with pytest.raises(InputError, match="no dataset"):
            await app.experiment("says", "faq")
        await app.add_cases("faq", FAQ)
        with pytest.raises(InputError, match="at least one trial"):
            await app.experiment("says", "faq", trials=0)
        with pytest.raises(InputError, match="no experiment is called"):
            await app.experiment_named("nightly")
        with pytest.raises(ConfigurationError, match="from 0 to 1"):
            await app.experiment("says", "faq", plan=Plan(evaluators=["tests.unit.evals.worlds:too_good"]))
        with pytest.raises(ConfigurationError, match="the evaluator breaks raised KeyError over the run"):
            await app.experiment("says", "faq", plan=Plan(evaluators=["tests.unit.evals.worlds:breaks"]))
        missing = Judge(workflow="judges", given={"question": "outcome.answer"}, verdict="ready")
        with pytest.raises(ConfigurationError, match="names no part of a trial"):
            await app.experiment("says", "faq", plan=Plan(evaluators=[missing]))

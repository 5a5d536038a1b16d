"""Experiments that ask nobody: answered from recorded runs, or of the retrievers alone."""

import pytest

from engine.errors import InputError
from engine.evals.case import Case
from engine.evals.evaluation import Evaluation
from engine.evals.evaluators import Equals, Recall
from engine.evals.modes import Mode
from engine.nodes.compute import Compute
from engine.nodes.generate import Generate
from engine.nodes.retrieve import Retrieve
from tests.databases import SHARED
from tests.flows import app_for, line, note, scripted

SAYS = Generate(model="large", prompt="{question} {passages}", into="answer", max_tokens=50)


async def find(query: str, *, top_k: int) -> list[dict]:
    return [{"id": f"{query}-{number}", "text": "x"} for number in range(top_k)]


FIND = Retrieve(retriever=find, query="question", into="passages", top_k=3)
ASKS = line(("note", Compute(function=note, into="notes")), ("find", FIND), ("say", SAYS), name="asks")


def asking(url="sqlite:///:memory:", *script):
    app = app_for(ASKS, database=url, large=scripted(*script))
    app.evaluation = Evaluation(evaluators={"asks": [Equals(of="answer"), Recall(k=3)]})
    return app


@SHARED
async def test_recorded_runs_answer_and_nobody_is_asked(url):
    async with asking(url, "yes", "no") as app:
        runs = [(await app.run("asks", {"question": word})).run_id for word in ("a", "b")]
        await app.add_cases("real", await app.cases_from_runs(runs, expect=["answer"]))
        same = await app.experiment("asks", "real", mode=Mode.RECORDED, name="same")
        assert {row.name: row.mean and row.mean.value for row in await app.metrics_of(same.record)}[
            "equals-answer"
        ] == 1
        calls = [call for run in await app.ledger.runs() for call in await app.ledger.calls(run.run_id)]
        assert (
            sum(call.cost_source == "recorded" for call in calls) == sum(call.cost_nano_usd != 0 for call in calls) + 2
        )
        other = await app.experiment("asks", "real", mode=Mode.RECORDED, settings=["prompt.say=Be brief {question}"])
        rows = {row.name: row.mean and row.mean.value for row in await app.metrics_of(other.record)}
        assert (rows["succeeded"], rows["equals-answer"]) == (0, 0)  # what was not recorded is not made up
        assert (await app.go_on_with("same")).done == 2


@SHARED
async def test_retrievers_are_tried_alone(url):
    async with asking(url) as app:
        await app.add_cases(
            "words", [Case(input={"question": "a"}, expect={"passages": ["a-1", "a-9"], "answer": "x"})]
        )
        done = await app.experiment("asks", "words", mode=Mode.RETRIEVAL_ONLY, trials=2)
        rows = {row.name: row.mean and row.mean.value for row in await app.metrics_of(done.record)}
        assert rows == {"succeeded": 1, "recall-3": 0.5}
        (run, _) = await app.ledger.runs()
        assert [step.node_name for step in await app.ledger.steps(run.run_id)] == ["note", "find"]
        assert (await app.go_on_with(done.record.experiment_id)).done == 2


async def test_what_cannot_be_tried_so_is_said():
    app = app_for(line(("say", SAYS), name="says"), ASKS, large=scripted("x"))
    async with app:
        await app.add_cases("words", [Case(input={"question": "a"})])
        with pytest.raises(InputError, match="reaches no retriever"):
            await app.experiment("says", "words", mode=Mode.RETRIEVAL_ONLY)
        with pytest.raises(InputError, match="were not made of runs"):
            await app.experiment("asks", "words", mode=Mode.RECORDED)
        with pytest.raises(InputError, match="one trial of each case"):
            await app.experiment("asks", "words", mode=Mode.RECORDED, trials=2)

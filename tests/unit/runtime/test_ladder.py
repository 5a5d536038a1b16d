"""What is done with less when a budget runs low, a node's own budget, warnings, and what a resumed run is given."""

import json

import pytest

from engine import Budget, DefinitionError, Generate, Retrieve, Rung, Validate
from engine.definition.policies import Cache
from engine.models.roles import Model
from engine.runtime.events import CustomEvent
from engine.testing import ScriptedModel
from engine.usage import Price
from tests.flows import app_for, is_good, line, noting, scripted, search


def ask(role: str = "large", **fields: object) -> Generate:
    given = {"model": role, "prompt": "{question}", "into": "answer", "max_tokens": 50} | fields
    return Generate(**given)


def dear() -> Model:
    """Give a model whose answer uses up 60 of 100 calls' worth: 60 tokens."""
    return Model(ScriptedModel(script=["dear"], input_tokens=50, output_tokens=10), price=Price(input="1", output="1"))


def twice(*rungs: Rung, **fields: object):
    """Ask twice; after the first there are 90 of 150 tokens left."""
    return line(("first", ask()), ("second", ask(**fields)), budget=Budget(tokens=150, ladder=rungs))


async def degraded(app, result) -> list[str | None]:
    return [step.degraded for step in await app.ledger.steps(result.run_id)]


async def test_another_model_is_asked_when_little_is_left():
    workflow = twice(Rung(below=0.7, models={"large": "small"}))
    async with app_for(workflow, large=dear(), small=scripted("cheap")) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.output["answer"], await degraded(app, result)) == ("cheap", [None, "large > small"])


async def test_of_several_rungs_the_lowest_that_holds_counts():
    workflow = twice(Rung(below=0.7, models={"large": "small"}), Rung(below=0.65, models={"large": "tiny"}))
    async with app_for(workflow, large=dear(), small=scripted("cheap"), tiny=scripted("least")) as app:
        assert (await app.run("line", {"question": "q"})).output["answer"] == "least"


async def test_answers_are_shorter_when_little_is_left():
    model = dear()
    async with app_for(twice(Rung(below=0.7, max_tokens=20)), large=model) as app:
        result = await app.run("line", {"question": "q"})
        assert [options["max_tokens"] for options in model.model.options] == [50, 20]
        assert await degraded(app, result) == [None, "max_tokens 20"]


async def test_fewer_passages_are_read_when_little_is_left():
    find = Retrieve(retriever=search, query="question", into="passages")
    workflow = line(("first", ask()), ("find", find), budget=Budget(tokens=150, ladder=[Rung(below=0.7, top_k=1)]))
    async with app_for(workflow, large=dear()) as app:
        result = await app.run("line", {"question": "refunds take orders ship the office"})
        assert len(result.output["passages"]) == 1
        assert await degraded(app, result) == [None, "top_k 1"]


async def test_a_node_that_is_not_needed_is_left_out_when_little_is_left():
    rung = Rung(below=0.7, skip=["note"])
    workflow = line(("first", ask()), ("note", noting()), budget=Budget(tokens=150, ladder=[rung]))
    async with app_for(workflow, large=dear()) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.status, result.output["notes"]) == ("succeeded", [])
        assert await degraded(app, result) == [None, "skipped"]


async def test_what_was_done_with_less_is_not_cached():
    workflow = twice(Rung(below=0.7, models={"large": "small"}), cache=Cache())
    async with app_for(workflow, large=dear(), small=scripted("one", "two")) as app:
        answers = [(await app.run("line", {"question": "q"})).output["answer"] for _ in range(2)]
        assert answers == ["one", "two"]


async def test_a_visit_cannot_spend_more_than_its_own_budget():
    workflow = line(("first", ask(budget=Budget(tokens=30))), ("second", ask()), budget=Budget(tokens=10_000))
    async with app_for(workflow, large=dear()) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.status, result.error.node) == ("budget_exceeded", "first")
    roomy = line(("first", ask(budget=Budget(tokens=150))), ("second", ask()), budget=Budget(tokens=10_000))
    async with app_for(roomy, large=dear()) as app:
        result = await app.run("line", {"question": "q"})
        first, second = await app.ledger.calls(result.run_id)
        assert (result.status, first.request_max_tokens, second.request_max_tokens) == ("succeeded", 50, 50)


async def test_a_warning_is_told_once():
    workflow = line(("first", ask()), ("second", ask()), budget=Budget(tokens=200, warn=0.25))
    async with app_for(workflow, large=dear()) as app:
        heard = []
        result = await app.run("line", {"question": "q"}, listener=heard.append)
        (told,) = [event for event in heard if isinstance(event, CustomEvent)]
        assert (told.name, told.data) == ("budget_warning", {"used": 0.3, "warn": 0.25})
        (kept,) = await app.ledger.events(result.run_id)
        assert kept.name == "budget_warning"


async def test_what_a_resumed_run_was_given_holds_when_it_is_resumed_again():
    workflow = line(("first", ask()), ("second", ask()), ("third", ask()), budget=Budget(calls=1))
    async with app_for(workflow, large=dear()) as app:
        stopped = await app.run("line", {"question": "q"})
        assert stopped.status == "budget_exceeded"
        again = await app.resume(stopped.run_id, budget=Budget(calls=2))
        assert again.status == "budget_exceeded"
        assert json.loads((await app.ledger.run(stopped.run_id)).budget_payload) == {"calls": 2}
        still = await app.resume(stopped.run_id)
        assert (still.calls, "the budget has 0 calls left" in still.error.message) == (2, True)
        assert (await app.resume(stopped.run_id, budget=Budget(calls=3))).status == "succeeded"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ladder": [Rung(below=0.5, skip=["none"])]}, "the ladder skips 'none', which is not a node"),
        ({"ladder": [Rung(below=0.5, skip=["check"])]}, "the ladder skips 'check', which checks something"),
        ({"ladder": [Rung(below=0.5, models={"huge": "large"})]}, "replaces the role 'huge', which no node asks"),
    ],
)
def test_a_ladder_that_cannot_hold_is_refused_when_it_is_built(fields, said):
    check = Validate(check=[is_good], into="verdict", passed="good", failed="bad")
    with pytest.raises(DefinitionError) as refused:
        line(("draft", ask()), ("check", check), budget=Budget(tokens=100, **fields))
    assert said in str(refused.value)


def test_time_is_not_part_of_a_visits_budget():
    with pytest.raises(DefinitionError, match="the budget of 'draft' has seconds, a ladder, a warning or shares"):
        line(("draft", ask(budget=Budget(seconds=5))))

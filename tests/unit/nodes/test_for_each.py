"""ForEach: a node for each item, in order, several at once, each a step of its own."""

import asyncio
from typing import Any

import pytest

from engine.definition.guardrail import ALLOW, Action, GuardItem, Guardrail, Verdict
from engine.definition.policies import Budget, Retry
from engine.definition.state import State
from engine.definition.workflow import Workflow
from engine.errors import DefinitionError
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from engine.nodes.for_each import ForEach
from engine.nodes.generate import Generate
from engine.records import RunStatus
from tests.flows import app_for, line, scripted


class Trip(State):
    places: list[str] = ["Rome", "Oslo", "Bonn"]
    season: str = "June"
    found: list[str] = []
    maybe: list[str | None] = []
    errors: list[dict[str, Any]] = []
    name: str = ""


VISITED: list[str] = []
FAILING: set[str] = set()
AT_ONCE = {"now": 0, "most": 0}


@pytest.fixture(autouse=True)
def nothing_visited():
    VISITED.clear()
    FAILING.clear()
    AT_ONCE.update(now=0, most=0)


async def visit(place: str, season: str) -> str:
    """Visit a place; the first one takes longest."""
    AT_ONCE["now"] += 1
    AT_ONCE["most"] = max(AT_ONCE["most"], AT_ONCE["now"])
    for _ in range(5 if place == "Rome" else 1):
        await asyncio.sleep(0)
    AT_ONCE["now"] -= 1
    VISITED.append(place)
    if place in FAILING:
        raise RuntimeError(f"{place} is closed")
    return f"{place} in {season}"


def shout(place: str) -> str:
    """Say it loudly."""
    return place.upper()


VISIT = CallTool(
    tool=visit, args={"place": "place", "season": "season"}, into="result", effect="read", retry=Retry(attempts=1)
)


def trip(**fields: Any) -> Workflow:
    """Give a workflow of one map over places."""
    given = {"over": "places", "item": "place", "node": VISIT, "into": "found"} | fields
    return line(("go", ForEach(**given)), state=Trip)


async def test_results_stand_in_the_order_of_the_items_and_each_item_is_a_step():
    async with app_for(trip()) as app:
        result = (await app.run("line", {})).raise_for_status()
        assert result.output["found"] == ["Rome in June", "Oslo in June", "Bonn in June"]
        whole, *items = await app.ledger.steps(result.run_id)
        assert [(step.node_name, step.item, step.parent_step_id) for step in items] == [
            ("go/each", number, whole.step_id) for number in range(3)
        ]
    assert VISITED[-1] == "Rome"


async def test_no_more_are_in_progress_than_allowed():
    places = [f"p{number}" for number in range(9)]
    async with app_for(trip(at_once=2)) as app:
        result = (await app.run("line", {"places": places})).raise_for_status()
    assert result.output["found"] == [f"{place} in June" for place in places]
    assert AT_ONCE["most"] == 2


async def test_an_empty_list_gives_an_empty_list_and_too_long_a_one_an_error():
    async with app_for(trip(max_items=3)) as app:
        assert (await app.run("line", {"places": []})).raise_for_status().output["found"] == []
        failed = await app.run("line", {"places": ["a"] * 4})
    assert failed.error.message == "'places' has 4 items, and max_items allows 3"


async def test_a_failed_item_ends_the_step_unless_it_is_skipped_or_collected():
    FAILING.add("Oslo")
    workflows = {
        "fail": trip(),
        "skip": trip(on_error="skip", errors_into="errors"),
        "collect": trip(on_error="collect", into="maybe"),
    }
    outcomes = {}
    for policy, workflow in workflows.items():
        async with app_for(workflow) as app:
            outcomes[policy] = await app.run("line", {})
    failed = outcomes["fail"].error
    assert (failed.node, failed.message) == ("go/each", "the tool 'visit' raised RuntimeError: Oslo is closed")
    assert outcomes["skip"].output["found"] == ["Rome in June", "Bonn in June"]
    (error,) = outcomes["skip"].output["errors"]
    assert (error["item"], error["error"]) == (1, "ToolFailed")
    assert outcomes["collect"].output["maybe"] == ["Rome in June", None, "Bonn in June"]


class NoOslo(Guardrail):
    """Blocks a place."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        return Verdict(action=Action.BLOCK, reason="not there") if "Oslo" in text else ALLOW


async def test_a_blocked_item_can_be_left_out_and_a_used_up_budget_cannot():
    blocking = VISIT.model_copy(update={"guard_input": (NoOslo(),)})
    async with app_for(trip(node=blocking, on_error="skip")) as app:
        assert (await app.run("line", {})).output["found"] == ["Rome in June", "Bonn in June"]
    poor = line(("go", trip(on_error="skip").nodes["go"]), state=Trip, budget=Budget(calls=2))
    async with app_for(poor) as app:
        assert (await app.run("line", {})).status is RunStatus.BUDGET_EXCEEDED


async def test_items_that_had_finished_are_not_run_again_when_the_run_goes_on():
    FAILING.add("Rome")
    async with app_for(trip()) as app:
        failed = await app.run("line", {})
        assert sorted(VISITED) == ["Bonn", "Oslo", "Rome"]
        FAILING.clear()
        result = (await app.resume(failed.run_id)).raise_for_status()
        assert result.output["found"] == ["Rome in June", "Oslo in June", "Bonn in June"]
        assert VISITED.count("Rome") == 2
        assert len(VISITED) == 4
        attempts = [step.attempt for step in await app.ledger.steps(failed.run_id) if step.node_name == "go/each"]
        assert sorted(attempts) == [1, 1, 1, 2]


async def test_the_inner_node_may_ask_a_model_and_its_costs_are_the_runs():
    workflow = trip(node=Generate(model="large", prompt="{place} in {season}?", into="text", max_tokens=5))
    async with app_for(workflow, large=scripted("yes")) as app:
        result = (await app.run("line", {})).raise_for_status()
        assert (result.output["found"], result.calls) == (["yes"] * 3, 3)
        ((bound, _),) = app.worst_case(workflow)
        assert (bound.node, bound.calls) == ("go/each", 100 * 2 * 2 * 3)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"over": "season"}, "it goes over 'season', which holds str and not a list"),
        ({"item": "name"}, "item 'name' is a field of Trip: give the item another name"),
        ({"node": Compute(function=shout, into=("a", "b"))}, "its node must write one field, and writes a, b"),
        ({"errors_into": "errors"}, "errors_into needs on_error='skip' or 'collect'"),
        ({"into": "season"}, "writes list"),
        (
            {"node": CallTool(tool=visit, args={"place": "place"}, effect="read", into="x")},
            "needs the parameter 'season'",
        ),
        ({"node": VISIT.model_copy(update={"max_visits": 2})}, "its node cannot have a fallback or max_visits"),
    ],
)
def test_a_wrong_map_is_refused_with_a_sentence(fields, fault):
    with pytest.raises(DefinitionError) as caught:
        trip(**fields)
    assert fault in str(caught.value)


def test_a_map_survives_json_with_its_version():
    assert Workflow.from_json(trip().to_json()).version == trip().version

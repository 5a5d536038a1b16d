"""Ways, items, tools and guardrails that wait for a person, and what goes on meanwhile."""

from typing import Any

import pytest

from engine.definition.edges import END, START, Chain, Parallel
from engine.definition.guardrail import ALLOW, Action, GuardItem, Guardrail, Verdict
from engine.definition.node import Node
from engine.definition.workflow import Workflow
from engine.errors import DefinitionError, InputError
from engine.nodes.ask import Ask
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from engine.nodes.for_each import ForEach
from engine.nodes.generate import Generate
from engine.nodes.subflow import Subflow
from engine.records import RunStatus
from engine.testing import ScriptedModel
from tests.flows import app_for, line
from tests.trips import BOOKED, GIVEN, Seat, Trip, approve, approved_trip, book, booking, look, look_again, trip


@pytest.fixture(autouse=True)
def nothing_is_booked():
    BOOKED.clear()


def ways(**second: Any) -> Workflow:
    """Give two ways: one waits, the other has two nodes or waits, too."""
    beside = {
        "look": Compute(function=look, into="note"),
        "look-again": Compute(function=look_again, into="more"),
    }
    nodes = {"approve": approve(), **(second or beside), "join": Compute(function=book, into="reference")}
    names = list(second or beside)
    edges = [Parallel(START, to=["approve", names[0]], join="join"), Chain("join", END)]
    if len(names) > 1:
        edges.append(Chain(*names))
    return trip(nodes=nodes, edges=edges)


async def test_the_way_beside_one_that_waits_goes_on_to_its_end_and_is_not_run_again():
    async with app_for(ways()) as app:
        waiting = await app.run("trip", GIVEN)
        assert waiting.status is RunStatus.WAITING
        assert BOOKED == ["looked at LX 8", "looked again"]
        await app.answer(waiting.run_id)
        result = (await app.resume(waiting.run_id)).raise_for_status()
        assert result.output["more"] == "looked twice"
        assert BOOKED == ["looked at LX 8", "looked again", "LX 8"]


@pytest.mark.parametrize("first", ["approve", "meal"])
async def test_two_ways_that_both_wait_are_answered_one_after_the_other(first):
    answers = {"approve": None, "meal": "fish"}
    async with app_for(ways(meal=Ask(text="Which meal?", into="meal"))) as app:
        waiting = await app.run("trip", GIVEN)
        asked = {one.node_name: one.question_id for one in await app.questions(waiting.run_id)}
        await app.answer(waiting.run_id, answers.pop(first), question=asked[first])
        assert (await app.resume(waiting.run_id)).status is RunStatus.WAITING
        ((second, answer),) = answers.items()
        assert [one.node_name for one in await app.questions(waiting.run_id)] == [second]
        await app.answer(waiting.run_id, answer)
        result = (await app.resume(waiting.run_id)).raise_for_status()
        assert (result.output["go"], result.output["meal"], BOOKED) == ("yes", "fish", ["LX 8"])


async def test_two_ways_may_be_answered_at_once():
    async with app_for(ways(meal=Ask(text="Which meal?", into="meal"))) as app:
        waiting = await app.run("trip", GIVEN)
        for one in await app.questions(waiting.run_id):
            answer = "fish" if one.kind == "ask" else None
            await app.answer(waiting.run_id, answer, question=one.question_id)
        assert (await app.resume(waiting.run_id)).output["meal"] == "fish"


async def test_a_way_that_failed_beside_one_that_waits_is_mended_and_the_question_stands():
    broken = [True]

    async with app_for(
        ways(say=Generate(model="large", prompt="{flight}", into="note", max_tokens=50)),
        large=ScriptedModel(script=[lambda _: RuntimeError("down") if broken else "up"]),
    ) as app:
        failed = await app.run("trip", GIVEN)
        assert failed.status is RunStatus.FAILED
        with pytest.raises(InputError, match="waits for nobody: it is failed"):
            await app.answer(failed.run_id)
        broken.clear()
        assert (await app.resume(failed.run_id)).status is RunStatus.WAITING
        await app.answer(failed.run_id)
        result = (await app.resume(failed.run_id)).raise_for_status()
        assert (result.output["go"], result.output["note"]) == ("yes", "up")
        assert len(await app.ledger.questions(failed.run_id)) == 1


def booked_each(**fields: Any) -> Workflow:
    """Give a map over flights, each approved and booked in a workflow of its own."""
    each = ForEach(
        over="flights",
        item="one",
        node=Subflow(workflow=approved_trip(), input={"flight": "one"}, into={"reference": "reference"}),
        into="references",
        **fields,
    )
    return line(("each", each), name="trips", state=Trip)


async def test_a_map_over_workflows_that_wait_gathers_every_question_and_does_nothing_twice():
    async with app_for(booked_each()) as app:
        waiting = await app.run("trips", {"flight": "", "flights": ["A", "B", "C"]})
        asked = await app.questions(waiting.run_id)
        assert {one.node_name for one in asked} == {"each/each/approve"}
        assert sorted(BOOKED) == ["looked at A", "looked at B", "looked at C"]
        shown = {(await app.ledger.value(one.shown_payload))["flight"]: one.question_id for one in asked}
        await app.answer(waiting.run_id, question=shown["B"])
        assert (await app.resume(waiting.run_id)).status is RunStatus.WAITING
        assert BOOKED[3:] == ["B"]
        await app.answer(waiting.run_id, question=shown["A"])
        await app.answer(waiting.run_id, refuse=True, question=shown["C"])
        result = (await app.resume(waiting.run_id)).raise_for_status()
        assert result.output["references"] == ["booked A", "booked B", ""]
        assert sorted(BOOKED) == ["A", "B", "looked at A", "looked at B", "looked at C"]


async def test_a_tool_is_called_once_somebody_has_seen_the_exact_action_and_agreed():
    async with app_for(trip(("book", booking(approval="Book it?")))) as app:
        waiting = await app.run("trip", GIVEN)
        assert (waiting.status, BOOKED) == (RunStatus.WAITING, [])
        (asked,) = await app.questions(waiting.run_id)
        assert await app.ledger.value(asked.shown_payload) == {"tool": "book", "arguments": GIVEN}
        await app.answer(waiting.run_id)
        assert (await app.resume(waiting.run_id)).output["reference"] == "booked LX 8"
        assert BOOKED == ["LX 8"]


async def test_a_refused_action_blocks_the_run_and_nothing_falls_back():
    nodes = {"book": booking(approval="Book it?", fallback="look"), "look": Compute(function=look, into="note")}
    async with app_for(trip(nodes=nodes, edges=[Chain(START, "book", END), Chain("look", END)])) as app:
        waiting = await app.run("trip", GIVEN)
        await app.answer(waiting.run_id, refuse=True, reason="too dear")
        result = await app.resume(waiting.run_id)
        assert (result.status, result.error.type, BOOKED) == (RunStatus.BLOCKED, "Refused", [])
        assert result.error.message == (
            "the tool 'book' may not be called at 'book', and a person refused it: too dear"
        )


async def test_a_refused_item_of_a_map_is_collected():
    each = ForEach(
        over="flights",
        item="one",
        node=booking(args={"flight": "one"}, approval="Book it?"),
        into="references",
        on_error="collect",
        errors_into="errors",
    )
    async with app_for(trip(("each", each))) as app:
        waiting = await app.run("trip", {"flight": "", "flights": ["A", "B"]})
        first, second = await app.questions(waiting.run_id)
        refused = (await app.ledger.value(first.shown_payload))["arguments"]["flight"]
        await app.answer(waiting.run_id, refuse=True, question=first.question_id)
        await app.answer(waiting.run_id, question=second.question_id)
        result = (await app.resume(waiting.run_id)).raise_for_status()
        assert [flight for flight in ("A", "B") if flight != refused] == BOOKED
        assert [one["error"] for one in result.output["errors"]] == ["Refused"]


class Doubts(Guardrail):
    """Asks for a person where a text holds a word."""

    word: str

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        doubted = Verdict(action=Action.REQUIRE_APPROVAL, reason=f"it says {self.word!r}")
        return doubted if self.word in text else ALLOW


def draft(**fields: Any) -> Workflow:
    return trip(("draft", Generate(model="large", prompt="{flight}", into="note", max_tokens=50, **fields)))


@pytest.mark.parametrize(
    ("stage", "value"), [("guard_input", {"flight": "LX 8"}), ("guard_output", {"note": "fly LX 8"})]
)
async def test_a_guardrail_that_asks_for_a_person_waits_for_one(stage, value):
    model = ScriptedModel(script=["fly LX 8"])
    async with app_for(draft(**{stage: [Doubts(word="LX")]}), large=model) as app:
        waiting = await app.run("trip", GIVEN)
        (asked,) = await app.questions(waiting.run_id)
        assert asked.text == "the guardrail 'doubts' says: it says 'LX'"
        shown = await app.ledger.value(asked.shown_payload)
        assert (shown["value"], shown["doubts"]) == (value, dict.fromkeys(value, "it says 'LX'"))
        await app.answer(waiting.run_id)
        assert (await app.resume(waiting.run_id)).output["note"] == "fly LX 8"
        assert len(model.asked) == 1


async def test_what_a_guardrail_doubted_and_a_person_refused_blocks_the_run():
    async with app_for(draft(guard_output=[Doubts(word="LX")]), large=ScriptedModel(script=["fly LX 8"])) as app:
        waiting = await app.run("trip", GIVEN)
        await app.answer(waiting.run_id, refuse=True)
        result = await app.resume(waiting.run_id)
        assert (result.status, result.error.type) == (RunStatus.BLOCKED, "Refused")
        assert result.error.message == "the guardrail 'doubts' says: it says 'LX', and a person refused it"


async def test_a_question_that_another_way_made_needless_is_withdrawn():
    each = ForEach(over="flights", item="one", node=Flaky(), into="references", fallback="look")
    nodes = {"each": each, "look": Compute(function=look, into="note")}
    async with app_for(trip(nodes=nodes, edges=[Chain(START, "each", END), Chain("look", END)])) as app:
        result = await app.run("trip", {"flight": "", "flights": ["ask", "fail"]})
        assert result.raise_for_status().output["note"] == "looked"
        assert [asked.status for asked in await app.ledger.questions(result.run_id)] == ["withdrawn"]


class Flaky(Node):
    """Asks about one item and fails for the other."""

    @property
    def reads(self) -> tuple[str, ...]:
        return ("one",)

    @property
    def writes(self) -> dict[str, Any]:
        return {"reference": str}

    async def run(self, inputs: Any, ctx: Any) -> Any:
        if inputs["one"] == "fail":
            raise RuntimeError("it failed")
        return {"reference": await ctx.call_tool(book, {"flight": inputs["one"]}, approval="Book it?")}


async def test_the_same_action_twice_in_a_step_needs_two_approvals():
    async with app_for(trip(("twice", Twice(tool=book, args={"flight": "flight"}, into="reference")))) as app:
        waiting = await app.run("trip", GIVEN)
        for calls in (1, 2):
            (asked,) = await app.questions(waiting.run_id)
            await app.answer(waiting.run_id, question=asked.question_id)
            result = await app.resume(waiting.run_id)
            assert len(BOOKED) == calls
        assert result.status is RunStatus.SUCCEEDED


class Twice(CallTool):
    """Books twice."""

    async def run(self, inputs: Any, ctx: Any) -> Any:
        for _ in range(2):
            answer = await ctx.call_tool(book, {"flight": inputs["flight"]}, approval="Book it?")
        return {"reference": answer}


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"answer": "tests.flows:note"}, "is not a pydantic model"),
        ({"answer": Seat, "choices": ["a"], "into": "seat"}, "it has choices and an answer model: leave one"),
        ({"choices": ["fish"], "default": "meat", "wait_seconds": 1}, "its default 'meat' is not an answer"),
        ({"default": "fish"}, "a default needs wait_seconds"),
        ({"shows": ["nowhere"]}, "nowhere"),
    ],
)
def test_a_wrong_question_is_refused_when_the_workflow_is_built(fields, fault):
    with pytest.raises(DefinitionError, match=fault):
        trip(("ask", Ask(**({"text": "Which meal?", "into": "meal"} | fields))))


def test_a_decision_that_its_field_cannot_hold_is_refused_when_the_workflow_is_built():
    with pytest.raises(DefinitionError, match="go"):
        trip(("approve", approve(approved="perhaps")))

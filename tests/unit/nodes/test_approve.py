"""A run waits for a person: what they say, what fits, and until when."""

import pytest

from engine.definition.edges import END, START, Chain
from engine.errors import InputError, RunError
from engine.nodes.ask import Ask
from engine.nodes.compute import Compute
from engine.records import RunStatus
from engine.testing import StillClock
from tests.flows import app_for
from tests.trips import BOOKED, GIVEN, Seat, approve, approved_trip, look, statuses, trip


@pytest.fixture(autouse=True)
def nothing_is_booked():
    BOOKED.clear()


async def test_a_run_waits_for_a_person_and_goes_on_with_what_they_say():
    async with app_for(approved_trip()) as app:
        waiting = await app.run("trip", GIVEN)
        assert (waiting.status, waiting.output, waiting.error) == (RunStatus.WAITING, {}, None)
        with pytest.raises(RunError, match="waits for a person: `flowledger approve"):
            waiting.raise_for_status()
        (asked,) = await app.questions(waiting.run_id)
        assert (asked.node_name, asked.kind, asked.text) == ("approve", "approve", "Book this flight?")
        assert await app.ledger.value(asked.shown_payload) == GIVEN
        assert BOOKED == ["looked at LX 8"]
        await app.answer(waiting.run_id, digest=asked.digest[:8], reason="go ahead", by="ada")
        result = (await app.resume(waiting.run_id)).raise_for_status()
        assert (result.output["reference"], result.output["why"]) == ("booked LX 8", "go ahead")
        assert BOOKED == ["looked at LX 8", "LX 8"], "what was done before the question is not done again"
        assert await statuses(app, waiting.run_id) == [
            ("look", "ok"),
            ("approve", "waiting"),
            ("approve", "ok"),
            ("book", "ok"),
        ]
        (answered,) = await app.ledger.questions(waiting.run_id)
        assert (answered.status, answered.answered_by) == ("answered", "ada")


async def test_a_refusal_goes_the_other_way():
    async with app_for(approved_trip()) as app:
        waiting = await app.run("trip", GIVEN)
        await app.answer(waiting.run_id, refuse=True, reason="too dear")
        result = await app.resume(waiting.run_id)
        assert (result.output["go"], result.output["why"], result.output["reference"]) == ("no", "too dear", "")


async def test_a_run_that_nobody_has_answered_waits_on_and_asks_the_same_once():
    async with app_for(approved_trip()) as app:
        waiting = await app.run("trip", GIVEN)
        assert (await app.resume(waiting.run_id)).status is RunStatus.WAITING
        assert (await app.run("trip", GIVEN, run_id=waiting.run_id)).status is RunStatus.WAITING
        assert len(await app.ledger.questions(waiting.run_id)) == 1
        assert BOOKED == ["looked at LX 8"]


async def test_an_answer_to_something_else_is_refused_and_so_is_a_second_one():
    async with app_for(approved_trip()) as app:
        waiting = await app.run("trip", GIVEN)
        with pytest.raises(InputError, match=r"is about .* and not 0000: look at what it shows"):
            await app.answer(waiting.run_id, digest="0000")
        with pytest.raises(InputError, match="takes yes or no, not 'sure'"):
            await app.answer(waiting.run_id, "sure")
        with pytest.raises(InputError, match=r"say which question of .* at approve: Book this flight"):
            await app.answer(waiting.run_id, question="zz")
        await app.answer(waiting.run_id)
        with pytest.raises(InputError, match=r"every question of the run .* has its answer: `flowledger resume"):
            await app.answer(waiting.run_id, refuse=True)
        await app.resume(waiting.run_id)
        with pytest.raises(InputError, match="waits for nobody: it is succeeded"):
            await app.answer(waiting.run_id)


@pytest.mark.parametrize(
    ("asks", "field", "wrong", "right"),
    [
        ({"choices": ["fish", "fruit"], "into": "meal"}, "meal", "meat", "fish"),
        ({"into": "meal"}, "meal", 7, "anything"),
        ({"answer": Seat, "into": "seat"}, "seat", {"row": 3, "letter": "Z"}, {"row": 3, "letter": "A"}),
    ],
    ids=["choices", "text", "object"],
)
async def test_a_value_that_does_not_fit_is_refused_when_it_is_given(asks, field, wrong, right):
    async with app_for(trip(("ask", Ask(text="What shall it be?", shows=["flight"], **asks)))) as app:
        waiting = await app.run("trip", GIVEN)
        with pytest.raises(InputError, match=r"is not an answer to 'What shall it be\?'"):
            await app.answer(waiting.run_id, wrong)
        await app.answer(waiting.run_id, right)
        assert (await app.resume(waiting.run_id)).output[field] == right


async def test_who_gives_no_value_fails_the_step_which_may_fall_back():
    ask = Ask(text="Which meal?", into="meal", fallback="look")
    nodes = {"ask": ask, "look": Compute(function=look, into="note")}
    async with app_for(trip(nodes=nodes, edges=[Chain(START, "ask", END), Chain("look", END)])) as app:
        waiting = await app.run("trip", GIVEN)
        await app.answer(waiting.run_id, refuse=True, reason="not hungry")
        assert (await app.resume(waiting.run_id)).output["note"] == "looked"


async def test_the_default_stands_once_the_time_is_over():
    clock = StillClock()
    ask = Ask(text="Which meal?", choices=["fish", "fruit"], into="meal", wait_seconds=3600, default="fruit")
    async with app_for(trip(("ask", ask)), clock=clock) as app:
        waiting = await app.run("trip", GIVEN)
        clock.advance(3599)
        assert (await app.resume(waiting.run_id)).status is RunStatus.WAITING
        clock.advance(1)
        assert (await app.resume(waiting.run_id)).output["meal"] == "fruit"
        (asked,) = await app.ledger.questions(waiting.run_id)
        assert (asked.status, asked.reason) == ("expired", "nobody answered in time")
        with pytest.raises(InputError, match="waits for nobody: it is succeeded"):
            await app.answer(waiting.run_id, "fish")


async def test_an_approval_that_nobody_gives_in_time_counts_as_refused():
    clock = StillClock()
    steps = (("approve", approve(wait_seconds=60)), ("ask", Ask(text="Which meal?", into="meal")))
    async with app_for(trip(*steps), clock=clock) as app:
        waiting = await app.run("trip", GIVEN)
        (asked,) = await app.questions(waiting.run_id)
        clock.advance(60)
        assert (await app.resume(waiting.run_id)).status is RunStatus.WAITING, "for the meal now"
        with pytest.raises(InputError, match="say which question"):
            await app.answer(waiting.run_id, question=asked.question_id)
        await app.answer(waiting.run_id, "fish")
        assert (await app.resume(waiting.run_id)).output["go"] == "no"


async def test_an_answer_after_the_deadline_counts_as_long_as_the_run_has_not_gone_on():
    clock = StillClock()
    async with app_for(trip(("approve", approve(wait_seconds=60))), clock=clock) as app:
        waiting = await app.run("trip", GIVEN)
        clock.advance(600)
        await app.answer(waiting.run_id)
        assert (await app.resume(waiting.run_id)).output["go"] == "yes"

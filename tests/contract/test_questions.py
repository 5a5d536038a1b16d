"""Questions to people on every database: asked once, answered once, kept with their run."""

import asyncio

import pytest

from engine.errors import InputError
from engine.nodes.approve import Approve
from engine.nodes.ask import Ask
from engine.records import RunStatus
from engine.store.ended_runs import Scope
from engine.store.retention import prune
from engine.testing import StillClock
from tests.databases import SHARED
from tests.flows import app_for, line
from tests.old_runs import NOW

pytestmark = SHARED
GIVEN = {"question": "May it go on? " * 20}


def approved():
    return line(("go", Approve(text="Go on?", shows=["question"], into="ready", wait_seconds=60)), output=["ready"])


async def test_a_question_is_read_back_as_it_was_asked_and_answered_by_another_process(url):
    asks = line(("ask", Ask(text="What?", shows=["question"], into="answer", wait_seconds=60, default="none")))
    async with app_for(asks, database=url) as app:
        waiting = await app.run("line", GIVEN)
        (asked,) = await app.questions(waiting.run_id)
    async with app_for(asks, database=url) as other:
        assert await other.questions(waiting.run_id) == [asked]
        assert await other.ledger.value(asked.shown_payload) == GIVEN
        assert await other.ledger.value(asked.schema_payload) == {"type": "string"}
        assert asked.deadline_at == other.clock.now().replace(minute=1)
        await other.answer(waiting.run_id, "a long answer " * 20, by="ada")
        assert (await other.resume(waiting.run_id)).output["answer"] == "a long answer " * 20


async def test_of_two_processes_that_answer_at_once_one_wins(url):
    async with app_for(approved(), database=url) as app, app_for(approved(), database=url) as other:
        waiting = await app.run("line", GIVEN)
        said = [app.answer(waiting.run_id, by="one"), other.answer(waiting.run_id, refuse=True, by="other")]
        answers = await asyncio.gather(*said, return_exceptions=True)
        (won,) = [answer for answer in answers if not isinstance(answer, BaseException)]
        (lost,) = [answer for answer in answers if isinstance(answer, BaseException)]
        assert isinstance(lost, InputError)
        (asked,) = await app.ledger.questions(waiting.run_id)
        assert (asked.status, asked.answered_by) == (won.status, won.answered_by)
        assert (await other.resume(waiting.run_id)).output == {"ready": won.status == "answered"}


async def test_a_question_whose_time_is_over_is_recorded_as_expired(url):
    clock = StillClock()
    async with app_for(approved(), database=url, clock=clock) as app:
        waiting = await app.run("line", GIVEN)
        clock.advance(61)
        assert (await app.resume(waiting.run_id)).output == {"ready": False}
        (asked,) = await app.ledger.questions(waiting.run_id)
        assert (asked.status, asked.answered_at) == ("expired", clock.now())
        with pytest.raises(InputError, match="waits for nobody"):
            await app.ledger.answer(asked, status="answered", now=clock.now())


async def test_a_waiting_run_is_not_pruned_and_goes_on_afterwards(url):
    async with app_for(approved(), database=url) as app:
        waiting = await app.run("line", GIVEN)
        await prune(app.ledger, Scope(NOW, whole_runs=True))
        assert (await app.ledger.run(waiting.run_id)).status is RunStatus.WAITING
        await app.answer(waiting.run_id)
        assert (await app.resume(waiting.run_id)).output == {"ready": True}

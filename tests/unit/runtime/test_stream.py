"""A stream tells what happens in a run, to several readers, who may come back."""

import asyncio

import pytest

from engine.nodes.approve import Approve
from engine.records import RunStatus
from engine.runtime.events import (
    CallFinished,
    CustomEvent,
    Event,
    QuestionAsked,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextDelta,
)
from tests.flows import app_for, ask, line, run_id, scripted
from tests.streams import GATES, Essay, Gate, Patient, all_of, gated, kept, names, nested, text_of, until, write


@pytest.fixture
def gate():
    GATES["gate"], GATES["reached"] = asyncio.Event(), asyncio.Event()
    return GATES["gate"]


async def test_a_stream_tells_a_run_from_its_beginning_to_its_result():
    async with app_for(line(("draft", write("left")), state=Essay), left=scripted("good and short")) as app:
        events = await all_of(app.stream("line", {"topic": "cats"}, tenant="acme"))
        record = await app.ledger.run(events[0].run_id)
    assert names(events) == [
        *("RunStarted", "StepStarted", "CallStarted", "TextDelta"),
        *("CallFinished", "StepFinished", "RunFinished"),
    ]
    assert [event.cursor for event in events] == ["1", "2", "3", "3-3", "4", "5", "6"]  # three pieces at once
    call = next(event for event in events if isinstance(event, CallFinished))
    assert (call.role, call.attempt, call.status) == ("left", 1, "ok")
    assert (call.input_tokens, call.output_tokens, call.cost_nano_usd) == (10, 5, 15_000)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].result.output["left"] == text_of(events) == "good and short"
    assert record.tenant == "acme"
    assert not [event for event in events[:-1] if "cats" in str(event.to_json())]


async def test_steps_inside_steps_say_where_they_are_and_several_write_at_once():
    models = {"left": scripted("a b c"), "right": scripted("d e f"), "said": scripted("g")}
    async with app_for(nested(), **models) as app:
        events = await all_of(app.stream("nested", {"topic": "t", "topics": ["x", "y"]}))
    started = {event.step_id: event for event in events if isinstance(event, StepStarted)}
    drafts = [event for event in started.values() if event.node == "each/each/draft"]
    assert [started[event.parent or ""].item for event in drafts] == [0, 1]
    assert {started[started[event.parent or ""].parent or ""].node for event in drafts} == {"each"}
    for step_id in {event.step_id for event in events if isinstance(event, TextDelta)}:
        of_step = [event for event in events if getattr(event, "step_id", "") == step_id]
        assert text_of(of_step) in ("a b c", "d e f", "g")
        assert isinstance(of_step[0], StepStarted)
        assert isinstance(of_step[-1], StepFinished)
    assert [event.place for event in events] == sorted({event.place for event in events})


async def test_the_ledger_gives_the_same_events_with_the_same_numbers_after_a_restart(tmp_path):
    database = f"sqlite:///{tmp_path}/runs.db"
    models = {"left": scripted("a b c"), "right": scripted("d e f"), "said": scripted("g")}
    async with app_for(nested(), database=database, **models) as app:
        heard = await all_of(app.stream("nested", {"topic": "t", "topics": ["x", "y"]}))
    async with app_for(nested(), database=database, **models) as app:
        assert await all_of(app.stream(run_id=run_id())) == kept(heard)
        for event in heard:
            rest = [one for one in kept(heard) if one.place > event.place]
            assert await all_of(app.stream(run_id=run_id(), after=event.cursor)) == rest


async def test_readers_come_and_go_while_a_run_goes_on_and_each_hears_everything_once(gate):
    async with app_for(gated(("draft", write("left"))), left=scripted("one two three")) as app:
        owner = app.stream("essay", {"topic": "t"})
        heard = await until(owner, CustomEvent)
        after = await until(app.stream(run_id=run_id()), TextDelta)
        assert text_of(after) == "one two three"  # whoever comes late gets the pieces as one
        late = [app.stream(run_id=run_id(), after=event.cursor) for event in heard]
        first = [await anext(stream) for stream in late[:-1]]
        gate.set()
        rest = [[event, *await all_of(stream)] for event, stream in zip(first, late, strict=False)]
        heard += await all_of(owner)
        for place, events in enumerate(rest, start=1):
            assert kept(events) == kept(heard[place:])
            assert text_of(events) == text_of(heard[place:])
        assert names(heard)[-4:] == ["CustomEvent", "CustomEvent", "StepFinished", "RunFinished"]
        assert await all_of(app.stream(run_id=run_id(), after=heard[-1].seq)) == []


async def test_a_slow_reader_holds_nothing_up_and_gets_its_text_in_fewer_pieces(gate):
    many = " ".join(map(str, range(1000)))
    async with app_for(gated(("draft", write("left"))), left=scripted(many)) as app:
        slow = app.stream("essay", {"topic": "t"})
        heard = [await anext(slow), await anext(slow)]
        await GATES["reached"].wait()  # the run goes on, whoever reads
        gate.set()
        heard += await all_of(slow)
    assert text_of(heard) == many
    assert names(heard).count("TextDelta") < 10


async def test_whoever_began_a_run_ends_it_by_leaving_and_whoever_listens_does_not(gate):
    async with app_for(gated(), ask(), large=scripted("good")) as app:
        owner = app.stream("essay", {"topic": "t"})
        await until(owner, CustomEvent)
        listener = app.stream(run_id=run_id())
        await until(listener, CustomEvent)
        await listener.aclose()
        assert (await app.ledger.run(run_id())).status is RunStatus.RUNNING
        other = app.stream(run_id=run_id())
        await anext(other)
        await owner.aclose()
        assert (await app.ledger.run(run_id())).status is RunStatus.CANCELLED
        heard = await all_of(other)
        assert isinstance(heard[-1], RunFinished)
        assert heard[-1].result.status is RunStatus.CANCELLED
        assert await all_of(app.stream(run_id=run_id(), after=1)) == heard
        gate.set()
        assert (await app.resume(run_id())).status is RunStatus.SUCCEEDED


async def test_a_run_that_goes_on_is_numbered_on_so_that_no_number_means_two_things(gate, tmp_path):
    database = f"sqlite:///{tmp_path}/runs.db"
    async with app_for(gated(("draft", write("left"))), database=database, left=scripted("one two")) as app:
        owner = app.stream("essay", {"topic": "t"})
        before = await until(owner, CustomEvent)
        await owner.aclose()
        gate.set()
        after: list[Event] = []
        await app.resume(run_id(), listener=after.append)
        assert isinstance(after[0], RunStarted)
        assert after[0].resumed
        assert after[0].seq == 1_000_000_001
        assert [event.data for event in after if isinstance(event, CustomEvent)] == [{"at": ["gate", 1]}, None]
        everything = await all_of(app.stream(run_id=run_id()))
        assert everything[-len(after) :] == after
        assert everything[: len(kept(before))] == kept(before)
        assert await all_of(app.stream(run_id=run_id(), after=before[-1].cursor)) == everything[len(kept(before)) :]


async def test_a_run_of_another_process_is_followed_through_its_ledger_in_order(gate, tmp_path):
    database = f"sqlite:///{tmp_path}/runs.db"
    workflow = gated(("draft", write("left")))
    async with app_for(workflow, database=database, left=scripted("one two")) as app:
        heard: list[Event] = []
        async with app_for(workflow, database=database, left=scripted("one two"), clock=Patient()) as elsewhere:
            running = asyncio.create_task(app.run("essay", {"topic": "t"}, listener=heard.append))
            await GATES["reached"].wait()
            follower = elsewhere.stream(run_id=run_id())
            seen = [await anext(follower) for _ in range(5)]
            assert names(seen)[-1] == "StepFinished"
            gate.set()
            await running
            seen += await all_of(follower)
    assert seen == kept(heard)


async def test_a_run_waits_with_its_question_and_goes_on_as_a_stream(gate):
    gate.set()
    workflow = line(
        ("may-i", Approve(text="May I?", shows=["topic"], into="said", approved="yes", refused="no")),
        ("wait", Gate(name="gate")),
        state=Essay,
    )
    async with app_for(workflow) as app:
        heard = await all_of(app.stream("line", {"topic": "t"}, run_id=run_id(7)))
        (asked,) = [event for event in heard if isinstance(event, QuestionAsked)]
        assert isinstance(heard[-1], RunFinished)
        assert heard[-1].result.status is RunStatus.WAITING
        assert await all_of(app.stream(run_id=run_id(7))) == heard
        await app.answer(run_id(7), question=asked.question_id)
        more = await all_of(app.stream("line", {"topic": "t"}, run_id=run_id(7)))
        assert isinstance(more[-1], RunFinished)
        assert more[-1].result.status is RunStatus.SUCCEEDED
        assert await all_of(app.stream(run_id=run_id(7), after=heard[-1].seq)) == more
        again = await all_of(app.stream("line", {"topic": "t"}, run_id=run_id(7), after=more[-2].cursor))
        assert again == more[-1:]

"""Streams of events: what is heard, what is read back, and who may leave when."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from langchain_core.outputs import ChatGenerationChunk

from engine.definition.edges import END, START, Chain, Parallel
from engine.definition.node import Node, StepContext, Update
from engine.definition.state import State
from engine.definition.workflow import Workflow
from engine.errors import AnswerRejected, InputError
from engine.nodes.approve import Approve
from engine.nodes.for_each import ForEach
from engine.nodes.generate import Generate
from engine.nodes.subflow import Subflow
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
    TextReset,
)
from engine.testing import ScriptedModel, StillClock
from guardrails import Pii
from tests.flows import app_for, ask, line, noting, run_id, scripted


class Essay(State):
    topic: str
    left: str = ""
    right: str = ""
    topics: list[str] = []
    drafts: list[str] = []
    said: str = ""


class Gate(Node):
    """Wait until a test opens it, and tell of both."""

    name: str

    @property
    def writes(self) -> Mapping[str, Any]:
        return {"said": str}

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        ctx.emit("waiting", {"at": (self.name, 1)})
        GATES["reached"].set()
        await GATES[self.name].wait()
        ctx.emit("open")
        return {"said": self.name}


class Odd(Gate):
    """Tell what JSON cannot hold."""

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        ctx.emit("odd", object())
        return {}


class Picky(Generate):
    """Turn an answer down after it was heard."""

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        update = await super().run(inputs, ctx)
        if "bad" in update["left"]:
            raise AnswerRejected("it is bad")
        return update


GATES: dict[str, asyncio.Event] = {}


@pytest.fixture
def gate():
    GATES["gate"], GATES["reached"] = asyncio.Event(), asyncio.Event()
    return GATES["gate"]


def write(field: str, **fields: Any) -> Generate:
    return Generate(model=field, prompt="{topic}", into=field, max_tokens=50, **fields)


def gated(*nodes: tuple[str, Any]) -> Workflow:
    return line(*nodes, ("wait", Gate(name="gate")), state=Essay, name="essay")


def nested() -> Workflow:
    """Two ways at once, one of them a map over a sub-workflow."""
    inner = Workflow(
        name="inner", state=Essay, nodes={"draft": write("left")}, edges=[Chain(START, "draft", END)], output=["left"]
    )
    each = ForEach(
        over="topics", item="one", node=Subflow(workflow=inner, input={"topic": "one"}, into={"left": "left"}),
        into="drafts", at_once=2,
    )  # fmt: skip
    return Workflow(
        name="nested",
        state=Essay,
        nodes={"each": each, "right": write("right"), "join": write("said")},
        edges=[Parallel(START, to=["each", "right"], join="join"), Chain("join", END)],
    )


async def all_of(stream: AsyncGenerator[Event]) -> list[Event]:
    return [event async for event in stream]


async def until(stream: AsyncGenerator[Event], kind: type, **fields: Any) -> list[Event]:
    """Read up to the first event of a kind with these fields."""
    heard: list[Event] = []
    async for event in stream:
        heard.append(event)
        if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items()):
            return heard
    raise AssertionError(f"no {kind.__name__} in {heard}")


def kept(events: Sequence[Event]) -> list[Event]:
    """Leave out what only listeners hear."""
    return [event for event in events if not isinstance(event, TextDelta | TextReset)]


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def names(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


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


async def test_text_that_is_asked_for_again_is_taken_back():
    picky = Picky(model="left", prompt="{topic}", into="left", max_tokens=50)
    async with app_for(line(("draft", picky), state=Essay), left=scripted("a bad one", "good")) as app:
        events = await all_of(app.stream("line", {"topic": "t"}))
    (taken_back,) = [number for number, event in enumerate(events) if isinstance(event, TextReset)]
    assert (text_of(events[:taken_back]), text_of(events[taken_back:])) == ("a bad one", "good")


class Cut(ScriptedModel):
    """Break off the first answer after two pieces."""

    async def _astream(self, *args: Any, **fields: Any) -> AsyncIterator[ChatGenerationChunk]:
        number = len(self.asked)
        pieces = 0
        async for chunk in super()._astream(*args, **fields):
            if number == 0 and pieces == 2:
                raise ConnectionResetError("the line is cut")
            pieces += 1
            yield chunk


async def test_an_answer_that_breaks_off_is_taken_back_before_the_next_attempt(gate):
    async with app_for(gated(("draft", write("left"))), left=Cut(script=["one two three"])) as app:
        owner = app.stream("essay", {"topic": "t"})
        heard = await until(owner, CustomEvent)
        late = app.stream(run_id=run_id())
        missed = await until(late, CustomEvent)
        for events in (heard, missed):
            assert names(events)[2:9] == [
                *("CallStarted", "TextDelta", "TextReset", "CallFinished"),
                *("CallStarted", "TextDelta", "CallFinished"),
            ]
            first, void, failed, second = (events[place] for place in (3, 4, 5, 7))
            assert isinstance(first, TextDelta)
            assert isinstance(void, TextReset)
            assert isinstance(failed, CallFinished)
            assert isinstance(second, TextDelta)
            assert (first.text, second.text) == ("one two ", "one two three")
            assert first.call_id == void.call_id == failed.call_id != second.call_id
            assert failed.status == "failed"
        gate.set()
        await all_of(owner)


def gated_inside() -> Workflow:
    """Give a map over a sub-workflow whose steps write and then wait, and another way beside it."""
    inner = Workflow(
        name="inner",
        state=Essay,
        nodes={"draft": write("left"), "wait": Gate(name="gate")},
        edges=[Chain(START, "draft", "wait", END)],
        output=["left"],
    )
    each = ForEach(
        over="topics",
        item="one",
        node=Subflow(workflow=inner, input={"topic": "one"}, into={"left": "left"}),
        into="drafts",
        at_once=3,
    )
    edges = [Parallel(START, to=["each", "right"], join="join"), Chain("join", END)]
    nodes = {"each": each, "right": write("right"), "join": write("said")}
    return Workflow(name="nested", state=Essay, nodes=nodes, edges=edges)


async def until_all_wait(owner: AsyncGenerator[Event]) -> list[Event]:
    heard: list[Event] = []
    for _ in range(3):
        heard += await until(owner, CustomEvent, name="waiting")
    return heard


def texts_of(events: Sequence[Event]) -> dict[str, str]:
    pieces = [event for event in events if isinstance(event, TextDelta)]
    return {one.step_id: text_of([piece for piece in pieces if piece.step_id == one.step_id]) for one in pieces}


async def test_whoever_comes_back_among_steps_at_each_others_side_misses_nothing_and_hears_nothing_twice(gate):
    models = {"left": scripted("a b c"), "right": scripted("d e f"), "said": scripted("g")}
    async with app_for(gated_inside(), **models) as app:
        owner = app.stream("nested", {"topic": "t", "topics": ["x", "y", "z"]})
        heard = await until_all_wait(owner)
        back = [app.stream(run_id=run_id(), after=event.cursor) for event in heard]
        first = [await anext(stream) for stream in back[:-1]]
        gate.set()
        rest = [[event, *await all_of(stream)] for event, stream in zip(first, back, strict=False)]
        heard += await all_of(owner)
    for place, events in enumerate(rest, start=1):
        assert kept(events) == kept(heard[place:])
        assert texts_of(events) == texts_of(heard[place:])
        assert [event.place for event in events] == sorted({event.place for event in events})


async def test_leaving_among_steps_at_each_others_side_cuts_them_all_and_the_run_can_go_on(gate):
    models = {"left": scripted("a b c"), "right": scripted("d e f"), "said": scripted("g")}
    async with app_for(gated_inside(), **models) as app:
        owner = app.stream("nested", {"topic": "t", "topics": ["x", "y", "z"]})
        await until_all_wait(owner)
        await owner.aclose()
        cut = [step for step in await app.ledger.steps(run_id()) if step.status == "cancelled"]
        assert sorted({step.node_name for step in cut}) == ["each", "each/each", "each/each/wait"]
        gate.set()
        result = await app.resume(run_id())
        assert result.output["drafts"] == ["a b c"] * 3
        assert len([call for call in await app.ledger.calls(run_id()) if call.target == "left"]) == 3


class Chatty(Gate):
    """Tell very much."""

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        for number in range(3_000):
            ctx.emit("step", number)
        return await super().run(inputs, ctx)


async def test_whoever_comes_late_to_very_many_events_hears_them_all(gate):
    async with app_for(line(("wait", Chatty(name="gate")), state=Essay)) as app:
        owner = app.stream("line", {"topic": "t"})
        await anext(owner)
        await GATES["reached"].wait()
        late = app.stream(run_id=run_id(), after=2)
        await anext(late)
        gate.set()
        told = [event.data for event in await all_of(late) if isinstance(event, CustomEvent)]
        assert told[:-2] == list(range(1, 3_000))
        await all_of(owner)


@pytest.mark.parametrize("where", ["the node", "the step around it", "the sub-workflow", "the workflow"])
async def test_text_that_guardrails_have_yet_to_see_is_never_streamed(where):
    guard: dict[str, Any] = {"guard_output": [Pii()]}
    inner = Workflow(
        name="inner",
        state=Essay,
        nodes={"draft": write("left", **(guard if where == "the node" else {}))},
        edges=[Chain(START, "draft", END)],
        output=["left"],
        **(guard if where == "the sub-workflow" else {}),
    )
    around = guard if where == "the step around it" else {}
    each = ForEach(
        over="topics", item="one", node=Subflow(workflow=inner, input={"topic": "one"}, into={"left": "left"}),
        into="drafts", **around,
    )  # fmt: skip
    workflow = line(("each", each), state=Essay, **(guard if where == "the workflow" else {}))
    async with app_for(workflow, left=scripted("write to ada@example.com")) as app:
        events = await all_of(app.stream("line", {"topic": "t", "topics": ["x"]}))
    assert "TextDelta" not in names(events)
    assert not [event for event in events[:-1] if "ada" in str(event.to_json())]
    assert isinstance(events[-1], RunFinished)
    assert "ada" not in str(events[-1].result.output)


async def test_an_input_that_is_blocked_is_a_run_that_starts_and_finishes():
    workflow = line(("note", noting()), guard_input=[Pii(action="block")])
    async with app_for(workflow) as app:
        events = await all_of(app.stream("line", {"question": "I am ada@example.com"}))
        assert names(events) == ["RunStarted", "RunFinished"]
        assert await all_of(app.stream(run_id=events[0].run_id)) == events


async def test_what_cannot_begin_is_an_error_and_not_an_event():
    async with app_for(line(("note", noting()))) as app:
        with pytest.raises(InputError, match="question"):
            await all_of(app.stream("line", {}))
        with pytest.raises(InputError, match="no run has the id"):
            await all_of(app.stream(run_id=run_id(9)))
        for after in ("x", "1-", "-1", "1-2-3", -1, "١"):
            with pytest.raises(InputError, match="no place in a stream"):
                app.stream(run_id=run_id(), after=after)


async def test_what_a_node_tells_must_be_json():
    async with app_for(line(("odd", Odd(name="odd")), state=Essay)) as app:
        result = await app.run("line", {"topic": "t"})
    assert result.error is not None
    assert "the node 'odd' told 'odd' with what JSON cannot hold" in result.error.message


class Patient(StillClock):
    """A clock whose sleepers let others work for a while."""

    async def sleep(self, seconds: float) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

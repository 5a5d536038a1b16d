"""Texts that are taken back, steps side by side, very many events, and what is never streamed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from langchain_core.outputs import ChatGenerationChunk

from engine.definition.edges import END, START, Chain, Parallel
from engine.definition.node import StepContext, Update
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.nodes.for_each import ForEach
from engine.nodes.subflow import Subflow
from engine.runtime.events import (
    CallFinished,
    CustomEvent,
    Event,
    RunFinished,
    TextDelta,
    TextReset,
)
from engine.testing import ScriptedModel
from guardrails import Pii
from tests.flows import app_for, line, noting, run_id, scripted
from tests.streams import GATES, Essay, Gate, Odd, Picky, all_of, gated, kept, names, text_of, until, write


@pytest.fixture
def gate():
    GATES["gate"], GATES["reached"] = asyncio.Event(), asyncio.Event()
    return GATES["gate"]


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
async def test_text_is_streamed_as_the_guardrails_of_all_around_it_leave_it(where):
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
    assert text_of(events) == "write to [EMAIL]"
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

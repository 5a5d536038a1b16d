"""Workflows that wait at gates, and what is read off their streams."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from engine.definition.edges import END, START, Chain, Parallel
from engine.definition.node import Node, StepContext, Update
from engine.definition.state import State
from engine.definition.workflow import Workflow
from engine.errors import AnswerRejected
from engine.nodes.for_each import ForEach
from engine.nodes.generate import Generate
from engine.nodes.subflow import Subflow
from engine.runtime.events import (
    Event,
    TextDelta,
    TextReset,
)
from engine.testing import StillClock
from tests.flows import line


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


class Patient(StillClock):
    """A clock whose sleepers let others work for a while."""

    async def sleep(self, seconds: float) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

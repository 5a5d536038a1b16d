"""Nodes that say their own name and do as they are told, and workflows of parallel ways made of them."""

import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from langchain_core.messages import HumanMessage
from pydantic import Field

from engine.crash_points import listen
from engine.definition.edges import END, START, Chain, Edge
from engine.definition.node import Node, StepContext
from engine.definition.question import Question
from engine.definition.state import Append, State
from engine.definition.workflow import Workflow
from engine.errors import NodeFailed

BROKEN: set[str] = set()
"""The names of nodes that fail for good, as a process that is killed there."""


class Trail(State):
    start: str
    trail: Annotated[list[str], Append()] = []
    winner: str = ""
    turns: int = 0
    pick: Literal["web", "docs", "both", "none"] = "both"
    picks: list[Literal["web", "docs", "none"]] = []
    verdict: Literal["good", "bad"] = "bad"


class Killed(Exception):
    """Stands for the end of a process."""


class Do(Node):
    """Leaves its name in the trail, and what else it is told to."""

    says: str
    sets: Mapping[str, Any] = Field(default_factory=dict)
    fails: bool = False
    asks: str | None = None
    good_at: int | None = None
    waits: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        return ("trail",)

    @property
    def writes(self) -> Mapping[str, Any]:
        more = {"verdict": Any} if self.good_at else {}
        return {"trail": list[str], **dict.fromkeys(self.sets, Any), **more}

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.asks,) if self.asks else ()

    @property
    def calls_per_visit(self) -> int:
        return len(self.roles)

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Mapping[str, Any]:
        if self.says in BROKEN:
            raise Killed(self.says)
        if self.asks:
            await ctx.generate(self.asks, [HumanMessage("q")], max_tokens=9)
        if self.waits:
            await ctx.ask(Question(kind="approve", text="Go on?", shown={}))
        if self.fails:
            raise NodeFailed(f"{self.says} is told to fail")
        been = inputs["trail"].count(self.says) + 1
        verdict = {"verdict": "good" if been >= self.good_at else "bad"} if self.good_at else {}
        return {"trail": [self.says], **self.sets, **verdict}


def flow(names: str, *edges: Edge, after: str = "plan", last: str | None = "write", **nodes: Any) -> Workflow:
    """Give a workflow of nodes with these names that begins after `after` and ends after `last`."""
    known = {name: Do(says=name) for name in names.split()} | {
        name.replace("_", "-"): node for name, node in nodes.items()
    }
    ends = () if last is None else (Chain(last, END),)
    return Workflow(name="flow", state=Trail, nodes=known, edges=[Chain(START, after), *edges, *ends])


async def steps_of(app: Any, run_id: str) -> list[tuple[str, str]]:
    """Give the steps of a run, each with how it ended."""
    return [(step.node_name, step.status) for step in await app.ledger.steps(run_id)]


@contextmanager
def killed_at_each_commit(folder: Path) -> Generator[tuple[str, list[str]]]:
    """Give a database, and copies of it: as a process leaves it that is killed right after each commit."""
    folder.mkdir()
    copies: list[str] = []

    def copy(point: str, call: Any, answer: Any) -> None:
        if point == "after commit":
            into = folder / str(len(copies))
            into.mkdir()
            for file in folder.glob("runs.db*"):
                shutil.copy(file, into)
            copies.append(f"sqlite:///{into}/runs.db")

    stop = listen(copy)
    try:
        yield f"sqlite:///{folder}/runs.db", copies
    finally:
        stop()

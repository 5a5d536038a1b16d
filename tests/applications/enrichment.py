"""Data enrichment: search until an object of the user's own schema is found, and have it reflected upon."""

from typing import Any, Literal

from pydantic import BaseModel

from engine import END, START, Branch, CallTool, Chain, Compute, Generate, State, Workflow
from tests.applications.web import search_web


class Enrichment(State):
    """What is known of a topic, in the shape that the user gave."""

    topic: str = "?"
    extraction_schema: dict[str, Any] = {}
    call: Literal["search", "scrape", "Info"] | None = None
    query: str = ""
    notes: str = ""
    info: dict[str, Any] | None = None
    status: Literal["success", "error"] | None = None
    loop_step: int = 0
    max_loops: int = 6
    again: bool = False


class Move(BaseModel):
    """What the model does next; nothing if it forgot."""

    call: Literal["search", "scrape", "Info"] | None = None
    query: str = ""
    info: dict[str, Any] | None = None


class Judgement(BaseModel):
    """Whether the object will do."""

    status: Literal["success", "error"]


def count(loop_step: int) -> int:
    """Count a loop."""
    return loop_step + 1


def go_again(loop_step: int, max_loops: int, info: dict[str, Any] | None, status: str | None) -> bool:
    """Say whether the model has to go on looking."""
    return loop_step < max_loops and (not info or status == "error")


enrichment = Workflow(
    name="data-enrichment",
    state=Enrichment,
    nodes={
        "call-agent-model": Generate(
            model="writer",
            prompt="{topic} {extraction_schema} {notes}",
            output=Move,
            into={"call": "call", "query": "query", "info": "info"},
            max_tokens=400,
            max_visits=20,
        ),
        "count": Compute(function=count, into="loop_step"),
        "tools": CallTool(tool=search_web, args={"query": "query"}, into="notes", effect="read"),
        "reflect": Generate(
            model="grader",
            prompt="{topic} {extraction_schema} {info}",
            output=Judgement,
            into={"status": "status"},
            max_tokens=50,
        ),
        "judge": Compute(function=go_again, into="again"),
    },
    edges=[
        Chain(START, "call-agent-model", "count"),
        Branch(
            "count",
            on="call",
            to={None: "call-agent-model", "Info": "reflect", "search": "tools", "scrape": "tools"},
        ),
        Chain("tools", "call-agent-model"),
        Chain("reflect", "judge"),
        Branch("judge", on="again", to={True: "call-agent-model", False: END}),
    ],
)

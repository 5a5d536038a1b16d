"""Deep research: a supervisor hands topics to researchers at work side by side, as often as it wants more."""

from typing import Annotated, Literal

from pydantic import BaseModel

from engine import END, START, Append, Branch, Budget, Chain, ForEach, Generate, State, Subflow, Workflow
from engine.nodes.agent import Agent
from engine.nodes.agent_tool import AgentTool
from tests.applications.web import search_web


class Topic(State):
    """What one researcher works on."""

    topic: str
    raw: str = ""
    notes: str = ""


class Study(State):
    """A question, the topics of this turn, and what researchers have found."""

    question: str
    topics: list[str] = []
    next: Literal["research", "write"] = "research"
    notes: Annotated[list[str], Append()] = []
    failed: Annotated[list[dict[str, object]], Append()] = []
    report: str = ""


class Plan(BaseModel):
    """What the supervisor wants done next."""

    next: Literal["research", "write"]
    topics: list[str] = []


researcher = Workflow(
    name="researcher",
    state=Topic,
    budget=Budget(calls=10),
    nodes={
        "search": Agent(
            model="researcher",
            prompt="Find out about {topic}.",
            tools=[AgentTool(tool=search_web, effect="read")],
            into="raw",
            max_rounds=4,
            max_tokens=300,
        ),
        "compress": Generate(model="writer", prompt="Shorten: {raw}", into="notes", max_tokens=200),
    },
    edges=[Chain(START, "search", "compress", END)],
    output=["notes"],
)

study = Workflow(
    name="study",
    state=Study,
    nodes={
        "supervise": Generate(
            model="supervisor",
            prompt="{question}\nFound so far: {notes}",
            output=Plan,
            into={"next": "next", "topics": "topics"},
            max_tokens=200,
        ),
        "research": ForEach(
            over="topics",
            item="topic",
            node=Subflow(workflow=researcher, input={"topic": "topic"}, into={"notes": "found"}),
            into="notes",
            at_once=3,
            on_error="skip",
            errors_into="failed",
        ),
        "write": Generate(model="writer", prompt="{question}\n{notes}", into="report", max_tokens=800),
    },
    edges=[
        Chain(START, "supervise"),
        Branch(
            "supervise",
            on="next",
            to={"research": "research", "write": "write"},
            at_most={"research": 3},
            otherwise="write",
        ),
        Chain("research", "supervise"),
        Chain("write", END),
    ],
)

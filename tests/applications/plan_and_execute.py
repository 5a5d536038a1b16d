"""Plan and execute: a plan, an agent for its first step, and a new plan from what came of it, until it answers."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel

from engine import END, START, Append, Branch, Chain, Compute, Generate, State, Workflow
from engine.nodes.agent import Agent
from engine.nodes.agent_tool import AgentTool
from tests.applications.web import search_web


class Errand(State):
    """What is left of the plan, and what was done."""

    objective: str
    plan: list[str] = []
    step: str = ""
    result: str = ""
    past: Annotated[list[str], Append()] = []
    next: Literal["go on", "answer"] = "go on"
    answer: str = ""


class Steps(BaseModel):
    """A plan."""

    plan: list[str]


class NewPlan(BaseModel):
    """What is left to do, or the answer."""

    next: Literal["go on", "answer"]
    plan: list[str] = []
    answer: str = ""


def first(plan: list[str]) -> dict[str, Any]:
    """Take the first step of the plan."""
    return {"step": plan[0] if plan else "sum up", "plan": plan[1:]}


def done(step: str, result: str) -> list[str]:
    """Note what came of a step."""
    return [f"{step}: {result}"]


plan_and_execute = Workflow(
    name="plan-and-execute",
    state=Errand,
    nodes={
        "plan": Generate(
            model="planner", prompt="Plan: {objective}", output=Steps, into={"plan": "plan"}, max_tokens=300
        ),
        "next-step": Compute(function=first, into=("step", "plan")),
        "execute": Agent(
            model="executor",
            prompt="Do this: {step}\nDone so far: {past}",
            tools=[AgentTool(tool=search_web, effect="read", max_calls=3)],
            into="result",
            max_rounds=4,
            max_tokens=300,
        ),
        "note": Compute(function=done, into="past"),
        "plan-again": Generate(
            model="planner",
            prompt="{objective}\nDone: {past}\nLeft: {plan}",
            output=NewPlan,
            into={"next": "next", "plan": "plan", "answer": "answer"},
            max_tokens=300,
            max_visits=6,
        ),
    },
    edges=[
        Chain(START, "plan", "next-step", "execute", "note", "plan-again"),
        Branch("plan-again", on="next", to={"go on": "next-step", "answer": END}),
    ],
    output=["answer", "past"],
)

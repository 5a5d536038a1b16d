"""A desk with an agent, and tools that several tests share."""

import asyncio
from typing import Annotated, Any, Literal

from langchain_core.messages import ToolMessage
from pydantic import BaseModel

from engine.definition.policies import Retry
from engine.definition.state import Append, State
from engine.definition.workflow import Workflow
from engine.nodes.agent import Agent
from engine.nodes.agent_tool import AgentTool
from tests.flows import app_for, line, scripted


class Desk(State):
    question: str
    history: list[dict[str, Any]] = []
    said: Annotated[list[dict[str, Any]], Append()] = []
    answer: str = ""
    shape: dict[str, Any] | None = None
    colour: str = ""
    next: Literal["billing", "sales"] | None = None
    number: int = 0


class Shape(BaseModel):
    """A thing with a colour."""

    colour: Literal["red", "green"]
    size: int


REFUNDED: list[float] = []


async def look_up(topic: str) -> str:
    """Look something up."""
    return f"{topic}: five days"


def refund(order: str, amount: float) -> dict[str, Any]:
    """Pay money back."""
    REFUNDED.append(amount)
    return {"order": order, "paid": amount}


def fail(reason: str) -> str:
    """Fail."""
    raise ValueError(reason)


async def meet(name: str) -> str:
    """Answer once both are there."""
    await MEETING[0].wait()
    return name


MEETING: list[asyncio.Barrier] = []


LOOK_UP = AgentTool(tool=look_up, effect="read")


REFUND = AgentTool(tool=refund, effect="once")


FAIL = AgentTool(tool=fail, effect="read")


def agent(**fields: Any) -> Agent:
    given = {"model": "large", "prompt": "{question}", "tools": [LOOK_UP, REFUND, FAIL], "into": "answer"}
    return Agent(**({**given, "max_tokens": 50, "retry": Retry(attempts=1)} | fields))


def desk(node: Agent, **fields: Any) -> Workflow:
    return line(("agent", node), **({"name": "desk", "state": Desk} | fields))


async def run_of(node: Agent, *script: Any, given: dict[str, Any] | None = None, **fields: Any) -> Any:
    """Run an agent over a script; give the result and what its model was asked."""
    role = scripted(*script)
    async with app_for(desk(node, **fields), large=role) as app:
        return await app.run("desk", {"question": "q", **(given or {})}), role.model


def told(model: Any, request: int = -1) -> list[tuple[str, str]]:
    """The tool messages at the end of a request."""
    return [(one.content, one.status) for one in model.asked[request] if isinstance(one, ToolMessage)]

"""A trip that people agree to, and what several tests do with it."""

from typing import Any, Literal

from pydantic import BaseModel

from engine.definition.edges import END, START, Branch, Chain
from engine.definition.state import State
from engine.definition.workflow import Workflow
from engine.nodes.approve import Approve
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from tests.flows import line

BOOKED: list[str] = []


GIVEN = {"flight": "LX 8"}


class Trip(State):
    """What a booking is about."""

    flight: str
    flights: list[str] = []
    go: Literal["yes", "no"] | None = None
    why: str = ""
    seat: dict[str, Any] | None = None
    meal: str = ""
    note: str = ""
    more: str = ""
    reference: str = ""
    references: list[str | None] = []
    errors: list[dict[str, Any]] = []


class Seat(BaseModel):
    """Where somebody sits."""

    row: int
    letter: Literal["A", "B"]


def book(flight: str) -> str:
    """Book a flight."""
    BOOKED.append(flight)
    return f"booked {flight}"


def look(flight: str) -> str:
    """Look something up."""
    BOOKED.append(f"looked at {flight}")
    return "looked"


def look_again(note: str) -> str:
    """Look once more."""
    BOOKED.append("looked again")
    return note + " twice"


def trip(*nodes: tuple[str, Any], **fields: Any) -> Workflow:
    return line(*nodes, **({"name": "trip", "state": Trip} | fields))


def approve(**fields: Any) -> Approve:
    given = {"text": "Book this flight?", "shows": ["flight"], "into": "go", "approved": "yes", "refused": "no"}
    return Approve(**(given | fields))


def booking(**fields: Any) -> CallTool:
    return CallTool(**({"tool": book, "args": {"flight": "flight"}, "into": "reference"} | fields))


def approved_trip(**fields: Any) -> Workflow:
    nodes = {"look": Compute(function=look, into="note"), "approve": approve(reason_into="why"), "book": booking()}
    edges = [Chain(START, "look", "approve"), Branch("approve", on="go", to={"yes": "book", "no": END})]
    return trip(nodes=nodes, edges=[*edges, Chain("book", END)], **fields)


async def statuses(app, run_id):
    return [(step.node_name, step.status) for step in await app.ledger.steps(run_id)]

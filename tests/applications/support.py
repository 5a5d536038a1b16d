"""Customer support: a stack of specialised assistants, whose sensitive tools a person approves."""

from typing import Annotated, Any, Literal

from engine import END, START, Append, Branch, Chain, Compute, State, Workflow
from engine.nodes.agent import Agent
from engine.nodes.agent_tool import AgentTool

CHANGED: list[tuple[str, str]] = []

Assistant = Literal["primary", "flights", "hotels"]


class Support(State):
    """A conversation with a customer; the last assistant on the stack has the word."""

    request: str
    messages: Annotated[list[dict[str, Any]], Append()] = []
    stack: list[Assistant] = ["primary"]
    on_top: Assistant | None = "primary"
    handed_to: Literal["flights", "hotels", "primary"] | None = None
    answer: str = ""


def find_flights(to: str) -> list[str]:
    """Find flights to a place."""
    return [f"LX1 to {to}", f"LX2 to {to}"]


def change_flight(ticket: str, flight: str) -> str:
    """Move a ticket to another flight."""
    CHANGED.append((ticket, flight))
    return f"{ticket} is now on {flight}"


def book_hotel(city: str) -> str:
    """Book a hotel."""
    CHANGED.append(("hotel", city))
    return f"a hotel in {city} is booked"


def push_or_pop(stack: list[Assistant], handed_to: Literal["flights", "hotels", "primary"] | None) -> dict[str, Any]:
    """Put the assistant that was handed over to on the stack, or take the last one off; say who is on top."""
    if handed_to is None:
        return {"stack": stack, "on_top": None}
    left = stack[:-1] if handed_to == "primary" else [*stack, handed_to]
    return {"stack": left, "on_top": left[-1]}


def _specialist(what: str, *tools: AgentTool) -> Agent:
    return Agent(
        model="assistant",
        prompt=f"You see to {what}. Hand over to primary when that is done, or is not what is wanted.\n{{request}}",
        messages="messages",
        transcript_into="messages",
        tools=tools,
        handoffs={"primary": "the task is done, or is none of yours"},
        handoff_into="handed_to",
        into="answer",
        max_rounds=5,
        max_tokens=300,
        max_visits=5,
    )


support = Workflow(
    name="support",
    state=Support,
    nodes={
        "primary": Agent(
            model="assistant",
            prompt="You answer customers, and hand over what specialists do.\n{request}",
            messages="messages",
            transcript_into="messages",
            handoffs={"flights": "to find or change flights", "hotels": "to book hotels"},
            handoff_into="handed_to",
            into="answer",
            max_rounds=5,
            max_tokens=300,
            max_visits=6,
        ),
        "flights": _specialist(
            "flights",
            AgentTool(tool=find_flights, effect="read"),
            AgentTool(tool=change_flight, effect="once", approval="Change this flight?"),
        ),
        "hotels": _specialist("hotels", AgentTool(tool=book_hotel, effect="once", approval=True)),
        "stack": Compute(function=push_or_pop, into=("stack", "on_top")),
    },
    edges=[
        Chain(START, "primary", "stack"),
        Branch("stack", on="on_top", to={"primary": "primary", "flights": "flights", "hotels": "hotels", None: END}),
        Chain("flights", "stack"),
        Chain("hotels", "stack"),
    ],
    output=["answer", "stack"],
)

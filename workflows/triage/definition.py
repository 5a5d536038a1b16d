"""Sort a message, hand it to the right queue, and check that it arrived."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, Field

from engine import (
    END,
    START,
    Branch,
    Budget,
    CallTool,
    Chain,
    Generate,
    Prompt,
    State,
    Validate,
    Workflow,
)
from guardrails import Injection, MaxLength, Pii, ToolPolicy
from tools.tickets import open_ticket, probe_ticket, report_outage, request_refund

_ONLY_QUEUES = ToolPolicy(tools=("open_ticket", "report_outage", "request_refund"))

Category = Literal["refund", "outage", "question"]


class Sorted(BaseModel):
    """What a model says about a message."""

    category: Category = Field(description="Which queue the message belongs to.")


class Message(State):
    """A message and what became of it."""

    message: str
    category: Category | None = None
    reference: str = ""
    handed_over: bool = False
    faults: list[str] = []


def has_reference(reference: str) -> bool | str:
    """Say whether a queue took the message in."""
    return reference.startswith("T-") or "no queue gave a reference"


def _hand_over(queue: Callable[..., Any]) -> CallTool:
    """Open a ticket in a queue, once; after a crash the tickets say whether it was opened."""
    return CallTool(
        tool=queue, args={"question": "message"}, into="reference", probe=probe_ticket, guard_input=[_ONLY_QUEUES]
    )


triage = Workflow(
    name="triage",
    description="Sort a message, hand it to the right queue, and check that it arrived.",
    state=Message,
    output=("category", "reference", "handed_over"),
    budget=Budget(usd="0.01", tokens=8_000, seconds=30),
    guard_input=[MaxLength(characters=8_000), Injection(), Pii(action="mask")],
    nodes={
        "sort": Generate(
            model="small",
            prompt=Prompt.file("prompts/sort.md"),
            output=Sorted,
            into={"category": "category"},
            max_tokens=60,
            reasks=2,
        ),
        "refund": _hand_over(request_refund),
        "outage": _hand_over(report_outage),
        "question": _hand_over(open_ticket),
        "check": Validate(check=[has_reference], into="handed_over", reasons="faults"),
    },
    edges=[
        Chain(START, "sort"),
        Branch("sort", on="category", to={"refund": "refund", "outage": "outage", "question": "question"}),
        Chain("refund", "check"),
        Chain("outage", "check"),
        Chain("question", "check", END),
    ],
)

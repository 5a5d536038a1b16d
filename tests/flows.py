"""States, functions and small workflows that several tests share."""

from typing import Annotated, Any, Literal

from engine.app import App
from engine.definition.edges import END, START, Branch, Chain
from engine.definition.state import Append, State
from engine.definition.workflow import Workflow
from engine.models.roles import Model
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from engine.nodes.generate import Generate
from engine.nodes.retrieve import Retrieve
from engine.nodes.validate import Validate
from engine.ports import Clock
from engine.testing import ScriptedModel, StillClock
from engine.usage import Price

QUESTION = {"question": "How long do refunds take?"}
DOCUMENTS = ["Refunds take five days.", "Orders ship on Mondays.", "The office closes at noon."]


class Ask(State):
    question: str
    passages: list[dict[str, Any]] = []
    answer: str = ""
    verdict: Literal["good", "bad"] | None = None
    ticket: str = ""
    notes: Annotated[list[str], Append()] = []
    route: Literal["left", "right"] = "right"
    count: int = 0
    ready: bool = False


async def search(query: str, *, top_k: int = 6) -> list[str]:
    """Find every document that shares a word with the query."""
    words = set(query.lower().rstrip("?").split())
    return [text for text in DOCUMENTS if words & set(text.lower().rstrip(".").split())][:top_k]


def open_ticket(question: str, *, idempotency_key: str) -> str:
    """Open a ticket."""
    return f"T-{idempotency_key[:6]}"


def is_good(answer: str) -> bool:
    """Say whether the answer is good."""
    return answer.startswith("good")


def note(question: str) -> list[str]:
    """Note the question."""
    return [question]


def go_right() -> Literal["left", "right"]:
    """Always choose the same way."""
    return "right"


def count_up(count: int) -> int:
    """Count."""
    return count + 1


def run_id(number: int = 1) -> str:
    """Give the id of a run by its number."""
    return f"{number:032x}"


def ask(**changes: Any) -> Workflow:
    """Give a workflow of five nodes: find, draft, check, and a ticket where the draft is bad."""
    fields: dict[str, Any] = {
        "name": "ask",
        "state": Ask,
        "nodes": {
            "find": Retrieve(retriever=search, query="question", into="passages"),
            "draft": Generate(model="large", prompt="{passages}\n\nQuestion: {question}", into="answer", max_tokens=50),
            "check": Validate(check=[is_good], into="verdict", passed="good", failed="bad"),
            "ticket": CallTool(tool=open_ticket, args={"question": "question"}, into="ticket"),
        },
        "edges": [
            Chain(START, "find", "draft", "check"),
            Branch("check", on="verdict", to={"good": END, "bad": "ticket"}),
            Chain("ticket", END),
        ],
    }
    return Workflow(**(fields | changes))


def line(*nodes: tuple[str, Any], **fields: Any) -> Workflow:
    """Give a workflow whose nodes follow one another."""
    names = [name for name, _ in nodes]
    return Workflow(
        **({"name": "line", "state": Ask, "nodes": dict(nodes), "edges": [Chain(START, *names, END)]} | fields)
    )


def noting() -> Compute:
    """Give a node that notes the question."""
    return Compute(function=note, into="notes")


def app_for(
    *workflows: Workflow, clock: Clock | None = None, database: str = "sqlite:///:memory:", **models: Any
) -> App:
    """Give an app over a ledger in memory, on a clock that stands still."""
    return App(workflows=workflows, models=models, database=database, clock=clock or StillClock())


def scripted(*script: Any, **fields: Any) -> Model:
    """Give the model of a role that says what it is told and costs a dollar per million tokens."""
    return Model(ScriptedModel(script=list(script), **fields), price=Price(input="1", output="1"))

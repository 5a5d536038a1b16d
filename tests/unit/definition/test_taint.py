"""Origins follow a text from field to field, through every kind of node, before anything runs."""

from typing import Annotated, Any

from engine import END, START, Ask, CallTool, Chain, Compute, Generate, Node, Retrieve, State, TextOrigin, Workflow
from tests.flows import open_ticket, search

USER, SYSTEM, DOCUMENT, TOOL, MODEL = (TextOrigin(name) for name in ("user", "system", "document", "tool", "model"))


class Desk(State):
    question: str
    page: Annotated[str, DOCUMENT] = ""
    passages: list[dict[str, Any]] = []
    draft: str = ""
    copy_: str = ""
    ticket: str = ""
    said: str = ""
    mine: str = ""


def first(draft: str) -> str:
    """Take the first word."""
    return draft.split(maxsplit=1)[0]


def shout(question: str) -> str:
    """Shout."""
    return question.upper()


class Mine(Node):
    @property
    def reads(self):
        return ("question",)

    @property
    def writes(self):
        return {"mine": str}


def origins(**nodes: Any) -> dict[str, set[TextOrigin]]:
    flow = Workflow(name="flow", state=Desk, nodes=nodes, edges=[Chain(START, *nodes, END)])
    return {name: set(held) for name, held in flow.origins.items()}


def test_the_input_is_the_users_but_for_what_is_marked():
    held = origins(only=Compute(function=shout, into="copy_"))
    assert held["question"] == held["copy_"] == {USER}
    assert held["page"] == {DOCUMENT}


def test_what_a_model_writes_has_the_origins_of_what_it_read():
    held = origins(
        find=Retrieve(retriever=search, query="question", into="passages"),
        draft=Generate(model="large", prompt="{passages} {question}", into="draft", max_tokens=5),
        take=Compute(function=first, into="copy_"),
    )
    assert held["passages"] == {USER, DOCUMENT}
    assert held["draft"] == held["copy_"] == {USER, DOCUMENT, MODEL}


def test_an_origin_goes_round_a_loop_whatever_the_order_of_the_nodes():
    held = origins(
        take=Compute(function=first, into="copy_"),
        draft=Generate(model="large", prompt="{ticket}", into="draft", max_tokens=5),
        ticket=CallTool(tool=open_ticket, args={"question": "question"}, into="ticket"),
    )
    assert held["copy_"] == {USER, TOOL, MODEL}


def test_a_persons_answer_is_theirs_whatever_they_were_shown():
    held = origins(
        find=Retrieve(retriever=search, query="question", into="passages"),
        ask=Ask(text="Which?", shows=["passages"], into="said"),
    )
    assert held["said"] == {USER}


def test_code_of_ones_own_may_have_asked_anybody():
    assert origins(mine=Mine())["mine"] == {USER, TOOL}

"""Answer a question from documents with citations, or hand it to a person."""

from typing import Any, Literal

from engine import (
    END,
    START,
    Branch,
    Budget,
    Cache,
    CallTool,
    Chain,
    Compute,
    Generate,
    Prompt,
    Retrieve,
    Retry,
    State,
    Validate,
    Workflow,
)
from guardrails import Citations, Injection, MaxLength, Pii
from tools.documents import index_version, search_documents
from tools.tickets import open_ticket, probe_ticket
from workflows.answer_docs.sources import cited_sources


class Ask(State):
    """A question, what was found for it, and what became of it."""

    question: str
    collection: str = "docs"
    passages: list[dict[str, Any]] = []
    answer: str = ""
    sources: list[str] = []
    verdict: Literal["grounded", "unsupported"] | None = None
    ticket_id: str = ""


answer_docs = Workflow(
    name="answer-docs",
    description="Answer a question from documents with citations, or hand it to a person.",
    state=Ask,
    output=("answer", "sources", "verdict", "ticket_id"),
    budget=Budget(usd="0.05", tokens=20_000, seconds=60),
    guard_input=[MaxLength(characters=20_000), Injection(), Pii(action="mask")],
    guard_output=[Pii(action="mask")],
    nodes={
        "find": Retrieve(
            retriever=search_documents,
            query="question",
            args={"collection": "collection"},
            into="passages",
            top_k=6,
            cache=Cache(ttl=3600, version=index_version),
            guard_output=[Injection()],
        ),
        "draft": Generate(
            model="large",
            prompt=Prompt.file("prompts/answer.md"),
            into="answer",
            max_tokens=400,
            retry=Retry(attempts=4),
            fallback="draft-small",
        ),
        "draft-small": Generate(model="small", prompt=Prompt.file("prompts/answer.md"), into="answer", max_tokens=300),
        "check": Validate(
            check=[Citations(of="answer", sources="passages")],
            into="verdict",
            passed="grounded",
            failed="unsupported",
        ),
        "cite": Compute(function=cited_sources, into="sources"),
        "hand-over": CallTool(
            tool=open_ticket, args={"question": "question"}, into="ticket_id", effect="once", probe=probe_ticket
        ),
    },
    edges=[
        Chain(START, "find", "draft", "check"),
        Chain("draft-small", "check"),
        Branch("check", on="verdict", to={"grounded": "cite", "unsupported": "hand-over"}),
        Chain("cite", END),
        Chain("hand-over", END),
    ],
)

"""Adaptive and corrective RAG: choose a source, grade documents, rewrite the question, grade the answer, and loop."""

from typing import Literal

from pydantic import BaseModel

from engine import END, START, Branch, CallTool, Chain, Generate, State, Workflow
from tests.applications.web import search_web


class Rag(State):
    """A question on its way through sources and graders."""

    question: str
    documents: list[str] = []
    found: Literal["some", "none"] | None = None
    generation: str | None = None
    source: Literal["web_search", "vectorstore"] | None = None
    grade: Literal["useful", "not useful", "not supported"] | None = None


class Source(BaseModel):
    """Where to look."""

    source: Literal["web_search", "vectorstore"]


class Relevant(BaseModel):
    """The documents that bear on the question."""

    documents: list[str]
    found: Literal["some", "none"]


class Grade(BaseModel):
    """Whether an answer is supported by the documents, and answers the question."""

    grade: Literal["useful", "not useful", "not supported"]


def search_documents(query: str) -> list[str]:
    """Search the documents that the team has."""
    return [query]


async def search_pages(query: str) -> list[str]:
    """Search the web for documents."""
    return [await search_web(query)]


adaptive_rag = Workflow(
    name="adaptive-rag",
    state=Rag,
    nodes={
        "route-question": Generate(
            model="grader",
            prompt="Where is this answered: {question}",
            output=Source,
            into={"source": "source"},
            max_tokens=20,
        ),
        "web-search": CallTool(tool=search_pages, args={"query": "question"}, into="documents", effect="read"),
        "retrieve": CallTool(tool=search_documents, args={"query": "question"}, into="documents", effect="read"),
        "grade-documents": Generate(
            model="grader",
            prompt="Which of these bear on {question}?\n{documents}",
            output=Relevant,
            into={"documents": "documents", "found": "found"},
            max_tokens=400,
        ),
        "generate": Generate(
            model="writer", prompt="{question}\n{documents}", into="generation", max_tokens=400, max_visits=8
        ),
        "transform-query": Generate(
            model="writer", prompt="Ask better: {question}", into="question", max_tokens=100, max_visits=4
        ),
        "grade-generation": Generate(
            model="grader",
            prompt="{question}\n{documents}\n{generation}",
            output=Grade,
            into={"grade": "grade"},
            max_tokens=20,
        ),
    },
    edges=[
        Chain(START, "route-question"),
        Branch("route-question", on="source", to={"web_search": "web-search", "vectorstore": "retrieve"}),
        Chain("web-search", "generate"),
        Chain("retrieve", "grade-documents"),
        Branch("grade-documents", on="found", to={"none": "transform-query", "some": "generate"}),
        Chain("transform-query", "retrieve"),
        Chain("generate", "grade-generation"),
        Branch(
            "grade-generation",
            on="grade",
            to={"not supported": "generate", "useful": END, "not useful": "transform-query"},
        ),
    ],
)

"""A report: sections are planned, a person agrees or says what is wrong, and each is searched, written and graded."""

from typing import Literal

from pydantic import BaseModel

from engine import END, START, Approve, Branch, CallTool, Chain, ForEach, Generate, State, Subflow, Workflow
from tests.applications.web import search_web


class SectionState(State):
    """A section on its way."""

    section: str
    query: str = ""
    source: str = ""
    text: str = ""
    grade: Literal["pass", "fail"] | None = None


class ReportState(State):
    """A report on its way."""

    topic: str
    feedback: str = ""
    sections: list[str] = []
    is_approved: bool = False
    texts: list[str] = []
    report: str = ""


class Sections(BaseModel):
    """The sections of a report."""

    sections: list[str]


class Graded(BaseModel):
    """Whether a section will do, and what to search for if not."""

    grade: Literal["pass", "fail"]
    query: str = ""


section = Workflow(
    name="section",
    state=SectionState,
    nodes={
        "ask": Generate(model="writer", prompt="What to search for {section}?", into="query", max_tokens=50),
        "search": CallTool(tool=search_web, args={"query": "query"}, into="source", effect="read"),
        "write": Generate(model="writer", prompt="{section} from {source}", into="text", max_tokens=300),
        "grade": Generate(
            model="grader",
            prompt="{section}: {text}",
            output=Graded,
            into={"grade": "grade", "query": "query"},
            max_tokens=50,
        ),
    },
    edges=[
        Chain(START, "ask", "search", "write", "grade"),
        Branch("grade", on="grade", to={"pass": END, "fail": "search"}, at_most={"search": 2}, otherwise=END),
    ],
    output=["text"],
)

report = Workflow(
    name="report",
    state=ReportState,
    nodes={
        "plan": Generate(
            model="writer",
            prompt="Sections for {topic}. {feedback}",
            output=Sections,
            into={"sections": "sections"},
            max_tokens=200,
            max_visits=5,
        ),
        "agree": Approve(
            text="Shall it have these sections?",
            shows=["topic", "sections"],
            into="is_approved",
            reason_into="feedback",
        ),
        "write": ForEach(
            over="sections",
            item="section",
            node=Subflow(workflow=section, input={"section": "section"}, into={"text": "text"}),
            into="texts",
        ),
        "compile": Generate(model="writer", prompt="{topic}\n{texts}", into="report", max_tokens=800),
    },
    edges=[
        Chain(START, "plan", "agree"),
        Branch("agree", on="is_approved", to={True: "write", False: "plan"}),
        Chain("write", "compile", END),
    ],
)

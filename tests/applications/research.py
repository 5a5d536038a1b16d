"""Parallel web research with a reflection loop that fans out again, as in Gemini's full-stack quickstart."""

from typing import Annotated, Any

from pydantic import BaseModel

from engine import END, START, Append, Branch, CallTool, Chain, Compute, ForEach, Generate, State, Workflow
from tests.applications.web import search_web


class Research(State):
    """What is searched for and found; the bound of the loop is given in the input."""

    question: str = "?"
    search_query: Annotated[list[str], Append()] = []
    web_research_result: Annotated[list[str], Append()] = []
    is_sufficient: bool = False
    follow_up_queries: Annotated[list[str], Append()] = []
    research_loop_count: int = 0
    max_research_loops: int = 2
    is_enough: bool = False
    answer: str | None = None


class Queries(BaseModel):
    """What to search for."""

    search_query: list[str]


class Reflection(BaseModel):
    """Whether what was found is enough, and what to search for if not."""

    is_sufficient: bool = False
    follow_up_queries: list[str] = []


def judge(is_sufficient: bool, research_loop_count: int, max_research_loops: int) -> dict[str, Any]:
    """Count the loop, and say whether it was the last."""
    count = research_loop_count + 1
    return {"research_loop_count": count, "is_enough": is_sufficient or count >= max_research_loops}


SEARCH = CallTool(tool=search_web, args={"query": "query"}, into="result", effect="read")

research = Workflow(
    name="research",
    state=Research,
    nodes={
        "generate-query": Generate(
            model="writer",
            prompt="What should be searched for to answer: {question}",
            output=Queries,
            into={"search_query": "search_query"},
            max_tokens=200,
        ),
        "web-research": ForEach(over="search_query", item="query", node=SEARCH, into="web_research_result"),
        "reflection": Generate(
            model="writer",
            prompt="Is this enough to answer {question}?\n{web_research_result}",
            output=Reflection,
            into={"is_sufficient": "is_sufficient", "follow_up_queries": "follow_up_queries"},
            max_tokens=200,
            max_visits=10,
        ),
        "judge": Compute(function=judge, into=("research_loop_count", "is_enough")),
        "follow-up": ForEach(over="follow_up_queries", item="query", node=SEARCH, into="web_research_result"),
        "finalize-answer": Generate(
            model="writer", prompt="Answer {question} from:\n{web_research_result}", into="answer", max_tokens=400
        ),
    },
    edges=[
        Chain(START, "generate-query", "web-research", "reflection", "judge"),
        Branch("judge", on="is_enough", to={True: "finalize-answer", False: "follow-up"}),
        Chain("follow-up", "reflection"),
        Chain("finalize-answer", END),
    ],
)

"""Workflows as graphs of LangGraph: nodes of anybody's graph, with the ledger, the budget and people as ever."""

from typing import TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from engine.errors import RunError
from engine.nodes.approve import Approve
from engine.records import RunStatus
from tests.flows import QUESTION, app_for, ask, line, scripted

THREAD = {"configurable": {"thread_id": "1"}}


class Desk(TypedDict, total=False):
    question: str
    answer: str
    shouted: str


def shout(state: Desk) -> Desk:
    return {"shouted": state["answer"].upper()}


def desk(inner, **options):
    builder = StateGraph(Desk)
    builder.add_node("answering", inner)
    builder.add_node("shout", shout)
    builder.add_edge(START, "answering")
    builder.add_edge("answering", "shout")
    builder.add_edge("shout", END)
    return builder.compile(**options)


async def test_a_workflow_is_a_node_of_another_graph_and_its_run_is_in_the_ledger():
    workflow = ask(output=["answer"])
    async with app_for(workflow, large=scripted("good: five days")) as app:
        graph = desk(workflow.to_langgraph(app))
        events = [
            event["node"]
            async for _, event in graph.astream(QUESTION, stream_mode="custom", subgraphs=True)
            if event["event"] == "StepStarted"
        ]
        assert events == ["find", "draft", "check"]
        assert (await graph.ainvoke(QUESTION))["shouted"] == "GOOD: FIVE DAYS"
        runs = await app.ledger.runs()
        assert [(run.workflow, run.status, run.steps) for run in runs] == [("ask", RunStatus.SUCCEEDED, 3)] * 2


async def test_a_failed_run_fails_the_graph_and_goes_on_where_it_stopped():
    workflow = ask(output=["answer"])
    async with app_for(workflow, large=scripted(ValueError("no"), "good: yes")) as app:
        graph = desk(workflow.to_langgraph(app), checkpointer=InMemorySaver())
        with pytest.raises(RunError, match="failed"):
            await graph.ainvoke(QUESTION, THREAD)
        assert (await graph.ainvoke(None, THREAD))["shouted"] == "GOOD: YES"
        (run,) = await app.ledger.runs()
        assert [step.node_name for step in await app.ledger.steps(run.run_id)] == ["find", "draft", "draft", "check"]


def approving():
    return line(("ask", Approve(text="Go on?", shows=["question"], into="ready")), output=["ready"])


@pytest.mark.parametrize("agrees", [True, False])
async def test_a_question_to_a_person_is_an_interrupt_of_the_graph(agrees):
    async with app_for(approving()) as app:
        graph = app.to_langgraph("line", InMemorySaver())
        waiting = await graph.ainvoke(QUESTION, THREAD)
        (asked,) = waiting["__interrupt__"]
        assert asked.value["kind"] == "approve"
        (run,) = await app.ledger.runs()
        assert (run.run_id, run.status) == (asked.value["run_id"], RunStatus.WAITING)
        assert (await graph.ainvoke(Command(resume=agrees), THREAD))["ready"] is agrees
        assert len(await app.ledger.runs()) == 1

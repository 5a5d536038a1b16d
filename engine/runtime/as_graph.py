"""A workflow as a graph of LangGraph, so that it can be a node of anybody's graph; its runs stand in the ledger."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, NotRequired, TypedDict, cast

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from engine.definition.state import fields_of
from engine.definition.workflow import Workflow
from engine.records import QuestionRecord, RunStatus
from engine.runtime.events import Event
from engine.runtime.result import RunResult

_RUN = "flow:run"
_ASKED = "flow:asked"

RunIt = Callable[..., Awaitable[RunResult]]
"""Runs a workflow by its name, from an input, `run_id` and `listener`; or goes on with that run."""
Questions = Callable[[str], Awaitable[list[QuestionRecord]]]
Answering = Callable[..., Awaitable[Any]]


def as_graph(workflow: Workflow, run: RunIt, questions: Questions, answer: Answering, checkpointer: Any) -> Any:
    """Compile a graph whose state is the workflow's, whose node runs it, and which interrupts where a person is asked.

    The id of a run is made of LangGraph's name of the task, so that a graph that goes on goes on with the same run.
    """
    fields, written = fields_of(workflow.state), {name for node in workflow.nodes.values() for name in node.writes}
    given = [name for name, field in fields.items() if field.required or name not in written]
    returned = workflow.output or tuple(fields)

    async def run_workflow(state: dict[str, Any], runtime: Runtime[Any]) -> Command[Any]:
        run_id = state.get(_RUN) or _run_id(cast("Any", runtime.execution_info).task_id)

        def hear(event: Event) -> None:
            runtime.stream_writer({"event": type(event).__name__, **asdict(event)})

        entered = {name: state[name] for name in given if name in state}
        result = await run(workflow.name, entered, run_id=run_id, listener=hear)
        if result.status is RunStatus.WAITING:
            asked = (await questions(run_id))[0]
            shown = {"run_id": run_id, "question": asked.question_id, "kind": asked.kind, "text": asked.text}
            return Command(update={_RUN: run_id, _ASKED: shown}, goto="ask")
        result.raise_for_status()
        return Command(update={**result.output, _RUN: None}, goto=END)

    def ask(state: dict[str, Any]) -> Command[Any]:
        return Command(update={_ASKED: {**state[_ASKED], "said": interrupt(state[_ASKED])}}, goto="tell")

    async def tell(state: dict[str, Any]) -> Command[Any]:
        asked = state[_ASKED]
        said = asked["said"]
        refused = said is False and asked["kind"] == "approve"
        agreed = said is True and asked["kind"] == "approve"
        value = None if refused or agreed else said
        await answer(asked["run_id"], value, refuse=refused, question=asked["question"])
        return Command(goto="run")

    types: dict[str, Any] = {
        name: field.annotation if field.required else NotRequired[field.annotation] for name, field in fields.items()
    }
    builder: Any = StateGraph(
        _typed(workflow, "State", types | {_RUN: Any, _ASKED: Any}),
        input_schema=_typed(workflow, "Input", {name: types[name] for name in given}),
        output_schema=_typed(workflow, "Output", {name: types[name] for name in returned}),
    )
    builder.add_node("run", run_workflow, destinations=("ask", END))
    builder.add_node("ask", ask, destinations=("tell",))
    builder.add_node("tell", tell, destinations=("run",))
    builder.add_edge(START, "run")
    return builder.compile(checkpointer=checkpointer, name=workflow.name)


def _typed(workflow: Workflow, what: str, types: Mapping[str, Any]) -> Any:
    return TypedDict(f"{workflow.state.__name__}{what}", dict(types))  # type: ignore[operator]


def _run_id(task_id: str) -> str:
    return hashlib.blake2b(task_id.encode(), digest_size=16).hexdigest()

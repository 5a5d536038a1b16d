"""A workflow becomes a LangGraph graph: one superstep a node, routing by Command inside the node."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict, cast

from langgraph.graph import END as GRAPH_END
from langgraph.graph import START as GRAPH_START
from langgraph.graph import StateGraph
from langgraph.runtime import ExecutionInfo, Runtime
from langgraph.types import Command

from engine.definition.bounds import visits
from engine.definition.edges import END, START
from engine.definition.graph import Choice, Next
from engine.definition.node import Node
from engine.definition.state import Replace, fields_of
from engine.definition.workflow import Workflow
from engine.errors import EngineError, NodeFailed, VisitsExceeded
from engine.records import StepRecord
from engine.runtime.compose import compose
from engine.runtime.context import Context
from engine.runtime.run import Run, Step, StepNext
from engine.runtime.stacks import STEP_STACK

COUNTS = "flow:counts"
"""The channel that counts visits of nodes and arrivals at joins."""


_WAY = "branch:to:"  # LangGraph's name for the channel that wakes a node


async def _run_node(step: Step) -> Mapping[str, Any]:
    """Run the node itself; what its code raises becomes an error that the engine knows."""
    bound = step.node.max_visits
    if bound is not None and step.record.visit > bound:
        raise VisitsExceeded(f"the node {step.name!r} may be visited {bound} times (max_visits) and was needed again")
    try:
        return await step.node.run(step.inputs, Context(step))
    except (EngineError, *step.run.control_flow):
        raise
    except Exception as error:
        raise NodeFailed(f"the node {step.name!r} raised {type(error).__name__}: {error}") from error


_visit: StepNext = compose(STEP_STACK, _run_node)


@dataclass(frozen=True, slots=True)
class CompiledWorkflow:
    """A workflow that LangGraph can run.

    Attributes:
        graph: LangGraph's compiled graph; its context is a Run.
        max_steps: no run needs more supersteps than this.
    """

    workflow: Workflow
    graph: Any
    max_steps: int


def compile_workflow(workflow: Workflow, checkpointer: Any = None) -> CompiledWorkflow:
    """Compile a workflow; its nodes are wrapped in the step stack, LangGraph's own policies are not used."""
    builder: Any = StateGraph(_schema(workflow), context_schema=Run)
    for name, node in workflow.nodes.items():
        targets = tuple(GRAPH_END if target == END else target for target in workflow.graph.after(name))
        builder.add_node(name, _node_function(name, node, workflow), destinations=targets)
    first = workflow.graph.routes[START]
    if isinstance(first, Next):
        builder.add_edge(GRAPH_START, first.target)
    else:
        builder.add_node(START, _start_function(workflow), destinations=first.targets)
        builder.add_edge(GRAPH_START, START)
    most = sum(visits(workflow).values())
    return CompiledWorkflow(workflow, builder.compile(checkpointer=checkpointer), max_steps=2 * most + 10)


def _schema(workflow: Workflow) -> Any:
    """Declare a channel a field; values are JSON, so types are checked where a node writes, not here."""
    channels: dict[str, Any] = {
        name: Any if isinstance(field.merge, Replace) else Annotated[Any, field.merge.merge]
        for name, field in fields_of(workflow.state).items()
    }
    channels[COUNTS] = Annotated[Any, _add_counts]
    return TypedDict(f"{workflow.state.__name__}Channels", channels)  # type: ignore[operator]


def _add_counts(old: Mapping[str, int] | None, new: Mapping[str, int] | None) -> dict[str, int]:
    counts = dict(old or {})
    for name, more in (new or {}).items():
        counts[name] = counts.get(name, 0) + more
    return counts


def _node_function(name: str, node: Node, workflow: Workflow) -> Callable[..., Any]:
    ways_in = workflow.graph.joins.get(name, 0)
    joins = workflow.graph.joins
    reads, writes, kind = node.reads, frozenset(node.writes), node.kind

    async def visit(state: dict[str, Any], runtime: Runtime[Run]) -> Command[Any] | None:
        run, counts = runtime.context, cast("Mapping[str, int]", state.get(COUNTS) or {})
        if counts.get(f"arrived:{name}", 0) < ways_in:
            return None  # a join waits until every way has arrived; the last arrival wakes it again
        number = counts.get(f"visits:{name}", 0) + 1
        step_id, now = _step_id(run.record.run_id, name, number), run.clock.now()
        step = Step(
            run=run,
            name=name,
            node=node,
            record=StepRecord(
                step_id=step_id,
                run_id=run.record.run_id,
                seq=run.next_seq(),
                node_name=name,
                node_kind=kind,
                visit=number,
                started_at=now,
                attempt=run.journal.tries(step_id) + 1,
            ),
            state=state,
            inputs={field: state.get(field) for field in reads},
            writes=writes,
            task_id=cast("ExecutionInfo", runtime.execution_info).task_id,
            began_at=run.journal.began(step_id, now),
        )
        update = await _visit(step)
        more = {f"visits:{name}": 1, **({f"arrived:{name}": -ways_in} if ways_in else {})}
        more |= {f"arrived:{target}": 1 for target in step.goto if target in joins}
        return Command(update={**update, COUNTS: more}, goto=_goto(step.goto))

    return visit


def _step_id(run_id: str, node: str, visit: int) -> str:
    """Name a visit by what it is, so that it has the same name when it runs again: 16 hex digits."""
    return hashlib.blake2b(f"{run_id}\0{node}\0{visit}".encode(), digest_size=8).hexdigest()


def waiting_nodes(found: Any) -> list[str]:
    """Give the nodes that run next from a checkpoint on, those that finished ways lead to included."""
    channels = [*found.checkpoint["channel_values"], *(channel for _, channel, _ in found.pending_writes or ())]
    names = {channel.removeprefix(_WAY) for channel in channels if channel.startswith(_WAY)}
    return sorted(names - {START})


def _start_function(workflow: Workflow) -> Callable[..., Any]:
    """Give the node that parts the ways where a workflow begins with a branch or parallel ways."""
    way = workflow.graph.routes[START]

    async def begin(state: dict[str, Any]) -> Command[Any]:
        if not isinstance(way, Choice):
            return Command(goto=_goto(way.targets))
        target = way.choose(state.get(way.on))
        if target is None:
            raise NodeFailed(
                f"no way is given for {way.on} = {state.get(way.on)!r} at START: give the branch a default"
            )
        return Command(goto=_goto((target,)))

    return begin


def _goto(targets: Sequence[str]) -> list[str]:
    return [GRAPH_END if target == END else target for target in targets]

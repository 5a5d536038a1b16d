"""A workflow becomes a LangGraph graph: one superstep a node, routing by Command inside the node."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict, cast

from langgraph.errors import GraphInterrupt
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
from engine.errors import NodeFailed
from engine.runtime.run import Scope
from engine.runtime.steps import begin
from engine.runtime.visit import visit

COUNTS = "flow:counts"
"""The channel that counts visits of nodes, arrivals at joins, and nodes that wait for a person."""

_WAITS = "waits:"

_WAY = "branch:to:"  # LangGraph's name for the channel that wakes a node


class Pause(GraphInterrupt):
    """A step waits for a person; the ways beside it go on to their end."""


@dataclass(frozen=True, slots=True)
class CompiledWorkflow:
    """A workflow that LangGraph can run.

    Attributes:
        graph: LangGraph's compiled graph; its context is a Scope.
        max_steps: no run needs more supersteps than this.
    """

    workflow: Workflow
    graph: Any
    max_steps: int


def compile_workflow(workflow: Workflow, checkpointer: Any = None) -> CompiledWorkflow:
    """Compile a workflow; its nodes are wrapped in the step stack, LangGraph's own policies are not used."""
    builder: Any = StateGraph(_schema(workflow), context_schema=Scope)
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
    ways_in, joins = workflow.graph.joins.get(name, 0), workflow.graph.joins
    way, fields = workflow.graph.routes.get(name), fields_of(workflow.state)

    async def enter(state: dict[str, Any], runtime: Runtime[Scope]) -> Command[Any] | None:
        counts = cast("Mapping[str, int]", state.get(COUNTS) or {})
        if counts.get(f"arrived:{name}", 0) < ways_in:
            return None  # a join waits until every way has arrived; the last arrival wakes it again
        task_id = cast("ExecutionInfo", runtime.execution_info).task_id
        number = counts.get(f"visits:{name}", 0) + 1
        step = begin(runtime.context, name, node, state, visit=number, way=way, fields=fields, task_id=task_id)
        waited = counts.get(f"{_WAITS}{name}", 0)
        try:
            update = await visit(step)
        except Pause:
            runtime.context.waits.add(name)
            return Command(update={COUNTS: {f"{_WAITS}{name}": 1 - waited}})
        more = {f"visits:{name}": 1, **({f"arrived:{name}": -ways_in} if ways_in else {})}
        more |= {f"{_WAITS}{name}": -1} if waited else {}
        more |= {f"arrived:{target}": 1 for target in step.goto if target in joins}
        return Command(update={**update, COUNTS: more}, goto=_goto(step.goto))

    return enter


def wake(values: Mapping[str, Any], asleep: Collection[str] = ()) -> Command[Any] | None:
    """Give what wakes the nodes that wait for a person, but for those that have to sleep on; None if there is none."""
    names = sorted(set(_waiting(values)) - set(asleep))
    return Command(goto=names) if names else None


def _waiting(values: Mapping[str, Any]) -> list[str]:
    counts = cast("Mapping[str, int]", values.get(COUNTS) or {})
    return [name.removeprefix(_WAITS) for name, number in counts.items() if name.startswith(_WAITS) and number]


def next_nodes(found: Any) -> list[str]:
    """Give the nodes that run next from a checkpoint on: those that finished ways lead to, and those that wait."""
    channels = [*found.checkpoint["channel_values"], *(channel for _, channel, _ in found.pending_writes or ())]
    names = {channel.removeprefix(_WAY) for channel in channels if channel.startswith(_WAY)}
    return sorted(names.union(_waiting(found.checkpoint["channel_values"])) - {START})


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

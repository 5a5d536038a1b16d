"""A workflow becomes a LangGraph graph: one superstep a node, routing by Command inside the node."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict, cast

from langgraph.channels import BinaryOperatorAggregate
from langgraph.errors import GraphInterrupt
from langgraph.graph import END as GRAPH_END
from langgraph.graph import START as GRAPH_START
from langgraph.graph import StateGraph
from langgraph.runtime import ExecutionInfo, Runtime
from langgraph.types import Command

from engine.definition.bounds import visits
from engine.definition.edges import END, START
from engine.definition.node import Node
from engine.definition.routes import Choice, Next
from engine.definition.state import Replace, fields_of
from engine.definition.workflow import Workflow
from engine.errors import NodeFailed
from engine.runtime.held import HELD, begun_anew, hold, put, seen
from engine.runtime.in_way import has_ended, visit_in_way
from engine.runtime.run import Scope
from engine.runtime.steps import Touched, begin
from engine.runtime.tokens import COUNTS, Counts, Place, add_counts, ended, started
from engine.runtime.unheard import spare_callbacks
from engine.runtime.visit import visit

_WAITS = "waits:"  # counts the nodes that wait for a person
_WAY = "branch:to:"  # LangGraph's name for the channel that wakes a node


class Pause(GraphInterrupt):
    """A step waits for a person; the ways beside it go on to their end."""


class Merged(BinaryOperatorAggregate[Any]):
    """A channel whose values merge, whatever they say: LangGraph's own takes a dictionary for an order to overwrite."""

    __slots__ = ()

    def update(self, values: Sequence[Any]) -> bool:
        """Take in what tasks wrote; the first value is taken as it is."""
        for value in values:
            self.value = self.operator(self.value, value) if self.is_available() else value
        return bool(values)


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
    graph = builder.compile(checkpointer=checkpointer)
    spare_callbacks(graph)
    return CompiledWorkflow(workflow, graph, max_steps=2 * sum(visits(workflow).values()) + 10)


def _schema(workflow: Workflow) -> Any:
    """Declare a channel a field; values are JSON, so types are checked where a node writes, not here."""
    channels: dict[str, Any] = {
        name: Any if isinstance(field.merge, Replace) else _merged(field.merge.merge)
        for name, field in fields_of(workflow.state).items()
    }
    channels[COUNTS] = _merged(add_counts)
    if any(fork.first for fork in workflow.graph.forks.values()):
        channels[HELD] = _merged(hold(fields_of(workflow.state)))
    return TypedDict(f"{workflow.state.__name__}Channels", channels)  # type: ignore[operator]


def _merged(merge: Callable[[Any, Any], Any]) -> Any:
    return Annotated[Any, Merged(cast("Any", Any), merge)]


def _node_function(name: str, node: Node, workflow: Workflow) -> Callable[..., Any]:
    place, way, fields = Place.of(name, workflow.graph), workflow.graph.routes.get(name), fields_of(workflow.state)
    touched = Touched.by(node, fields)
    ways, races, anew = place.ways, place.races, place.begins_anew
    gives_up_to = place.optional.fork.join if place.optional else None
    only_visited = {COUNTS: {f"visits:{name}": 1}}

    async def enter(state: Mapping[str, Any], runtime: Runtime[Scope]) -> Command[Any] | None:
        scope, counts = runtime.context, cast("Counts", state.get(COUNTS) or {})
        waits, waited = f"{_WAITS}{name}", counts.get(f"{_WAITS}{name}", 0)
        if place.still_waits(counts):
            return None
        if ways and place.has_ended(counts):
            return Command(update={COUNTS: {waits: -waited, **only_visited[COUNTS]}}) if waited else None
        if ways and has_ended(scope, place, counts):
            return Command(update=only_visited)
        task_id = cast("ExecutionInfo", runtime.execution_info).task_id
        number = counts.get(f"visits:{name}", 0) + 1
        known = seen(state, races, fields) if races else state
        step = begin(scope, name, node, known, visit=number, way=way, touched=touched, task_id=task_id)
        step.gives_up_to = gives_up_to
        try:
            _leave_if_wanted(scope)
            update = await (visit_in_way(step, place) if ways else visit(step))
        except Pause:
            scope.waits[name] = step.waits_for
            return Command(update={COUNTS: {waits: 1 - waited}})
        if update is None:
            return Command(update=only_visited)
        if races:
            update = put(update, state, races, place.won(step), fields)
        if anew:
            scope.ends.begin_anew(anew)
            update = begun_anew(update, state, anew)
        counted = place.counted(step, counts) | ({waits: -1} if waited else {})
        if ways:
            counted |= _no_longer_waiting(scope, place, counted, counts)
        return Command(update={**update, COUNTS: counted}, goto=_goto(step.goto))

    return enter


def _leave_if_wanted(scope: Scope) -> None:
    """Have a run stop before a step, as if it waited there, so that another process goes on with it."""
    if scope.parent is None and scope.run.leaving.is_wanted:
        raise Pause


def _no_longer_waiting(scope: Scope, place: Place, counted: Counts, counts: Counts) -> Counts:
    """Have nobody wait in the ways that end with a step; a visit that waited there is over."""
    ended_now = {name for way in place.graph.ways if way.head in ended(counted) for name in way.nodes}
    over: dict[str, int] = {}
    for name in ended_now:
        if scope.waits.pop(name, None) is not None:  # one that is at work now counts its visit itself
            over[f"visits:{name}"] = 1
        if many := counts.get(f"{_WAITS}{name}", 0):
            over[f"{_WAITS}{name}"] = -many
    return over


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


def ends_before(found: Any) -> set[str]:
    """Give the ways that finished steps have ended since a checkpoint, by their first nodes."""
    written = (value for _, channel, value in found.pending_writes or () if channel == COUNTS)
    return {head for counts in written for head in ended(counts)}


def _start_function(workflow: Workflow) -> Callable[..., Any]:
    """Give the node that parts the ways where a workflow begins with a branch or parallel ways."""
    way, fork = workflow.graph.routes[START], workflow.graph.forks.get(START)

    async def begin(state: dict[str, Any]) -> Command[Any]:
        if not isinstance(way, Choice):
            return Command(goto=_goto(way.targets))
        targets = way.choose(state.get(way.on))
        if not targets:
            raise NodeFailed(
                f"no way is given for {way.on} = {state.get(way.on)!r} at START: give the branch a default"
            )
        update = {} if fork is None else {COUNTS: started(fork, targets)}
        return Command(update=update, goto=_goto(targets))

    return begin


def _goto(targets: Sequence[str]) -> list[str]:
    return [GRAPH_END if target == END else target for target in targets]

"""What must hold for a workflow to be valid; each check gives its faults, a sentence each."""

import enum
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any, Literal, Union, cast, get_args, get_origin

import re2

from engine.definition.edges import END, START, branch_key
from engine.definition.fits import can_hold, show
from engine.definition.graph import Choice, Fork, Graph
from engine.definition.shape import Shape
from engine.definition.state import Replace, State, fields_of

_NAME = re2.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


def faults_in(workflow: Shape) -> list[str]:
    """Give every fault of a workflow."""
    faults = [*_names(workflow), *workflow.graph.faults, *_edges(workflow), *_fields(workflow)]
    faults += _conversation(workflow)
    if not faults:  # the shape of a graph says something only once its names are right
        faults = [*_fallbacks(workflow), *_ways(workflow), *_loops(workflow), *_regions(workflow)]
    return faults


def _names(workflow: Shape) -> Iterable[str]:
    for name in [workflow.name, *workflow.nodes]:
        if not _NAME.fullmatch(name):
            yield f"{name!r} is not a name: use lower-case letters, digits and single hyphens, as in 'answer-docs'"
    if not workflow.nodes:
        yield "it has no nodes"
    for name in workflow.output or ():
        if name not in fields_of(workflow.state):
            yield f"output names {name!r}, {_no_field(workflow.state)}"


def _edges(workflow: Shape) -> Iterable[str]:
    known = {*workflow.nodes, END}
    if START not in workflow.graph.routes:
        yield "no edge leaves START: begin with Chain(START, ...)"
    for source, route in workflow.graph.routes.items():
        if source not in workflow.nodes and source != START:
            yield f"an edge leaves {source!r}, which is not a node; the nodes are {_list(workflow.nodes)}"
        for target in route.targets:
            if target not in known:
                yield f"an edge goes from {source!r} to {target!r}, which is not a node"
        if isinstance(route, Choice):
            yield from _choice(workflow.state, source, route)
        if isinstance(route, Fork) and route.join not in workflow.nodes:
            yield f"the parallel ways after {source!r} join at {route.join!r}, which is not a node"
    for name in workflow.nodes:
        if name not in workflow.graph.routes:
            yield f"{name!r} has no way on: add it to a Chain, as in Chain({name!r}, END)"


def _choice(state: type[State], source: str, choice: Choice) -> Iterable[str]:
    field = fields_of(state).get(choice.on)
    if field is None:
        yield f"the branch after {source!r} reads {choice.on!r}, {_no_field(state)}"
        return
    values = possible_values(field.annotation)
    if values is None:
        if choice.default is None:
            yield (
                f"the branch after {source!r} reads {choice.on!r}, whose values cannot be listed "
                f"({show(field.annotation)}): declare it as a Literal or give the branch a default"
            )
        return
    for missing in sorted(values - set(choice.to)) if choice.default is None else ():
        yield f"the branch after {source!r} does not say where {choice.on} = {missing!r} goes"
    for extra in sorted(set(choice.to) - values - {"null"}):
        yield f"the branch after {source!r} has a way for {choice.on} = {extra!r}, which the field never is"


def possible_values(annotation: Any) -> set[str] | None:
    """Give the texts of all values that a type allows, None aside; None if they cannot be listed."""
    if get_origin(annotation) is Literal:
        return {branch_key(value) for value in get_args(annotation) if value is not None}
    if annotation is bool:
        return {"true", "false"}
    if isinstance(annotation, enum.EnumType):
        members = cast("Iterable[enum.Enum]", annotation)
        return {branch_key(member.value) for member in members}
    if get_origin(annotation) is Union or type(annotation).__name__ == "UnionType":
        parts = [possible_values(part) for part in get_args(annotation) if part is not type(None)]
        known = [part for part in parts if part is not None]
        return set[str]().union(*known) if len(known) == len(parts) else None
    return None


def _fields(workflow: Shape) -> Iterable[str]:
    fields = fields_of(workflow.state)
    for name, node in workflow.nodes.items():
        for read in node.reads:
            if read not in fields:
                yield f"{name!r} reads {read!r}, {_no_field(workflow.state)}"
        for written, kind in node.writes.items():
            if written not in fields:
                yield f"{name!r} writes {written!r}, {_no_field(workflow.state)}"
            elif not can_hold(fields[written].annotation, kind):
                yield (f"{name!r} writes {show(kind)} into {written!r}, which holds {show(fields[written].annotation)}")
        for fault in node.faults(workflow.state):
            yield f"{name!r}: {fault}"


def _conversation(workflow: Shape) -> Iterable[str]:
    conversation, fields = workflow.conversation, fields_of(workflow.state)
    if conversation is None:
        for name, node in workflow.nodes.items():
            if node.hears_history:
                yield (
                    f"{name!r} has a history, and the workflow has no conversation to take it from: "
                    "set conversation=Conversation(says=..., answers=...)"
                )
        return
    for part, name in (("says", conversation.says), ("answers", conversation.answers)):
        if name not in fields:
            yield f"conversation {part} {name!r}, {_no_field(workflow.state)}"
    if conversation.answers in fields and conversation.answers not in (workflow.output or fields):
        yield f"conversation answers {conversation.answers!r}, which a run does not return: add it to output"


def _fallbacks(workflow: Shape) -> Iterable[str]:
    for name, target in workflow.graph.fallbacks.items():
        if target not in workflow.nodes:
            yield f"{name!r} falls back to {target!r}, which is not a node"
    for name in workflow.graph.fallbacks:
        ring, here = [name], workflow.graph.fallbacks.get(name)
        while here is not None and here not in ring:
            ring.append(here)
            here = workflow.graph.fallbacks.get(here)
        if here == name == min(ring):
            yield f"the fallbacks form a ring: {' > '.join([*ring, name])}"


def _ways(workflow: Shape) -> Iterable[str]:
    graph = workflow.graph
    reached = graph.reachable([START])
    for name in workflow.nodes:
        if name not in reached:
            yield f"{name!r} is never reached from START"
        elif END not in graph.reachable([name]):
            yield f"{name!r} never reaches END"


def _loops(workflow: Shape) -> Iterable[str]:
    bounded = [name for name, node in workflow.nodes.items() if node.max_visits]
    for group in workflow.graph.cycles(workflow.nodes, without=bounded):
        yield f"the loop through {_list(sorted(group))} has no bound: set max_visits on one of its nodes"


def _regions(workflow: Shape) -> Iterable[str]:
    graph = workflow.graph
    for source, fork in [(s, r) for s, r in graph.routes.items() if isinstance(r, Fork)]:
        ways = {head: graph.reachable([head], without=[fork.join]) for head in fork.targets}
        for head, way in ways.items():
            if END in way:
                yield f"the parallel way {head!r} after {source!r} can reach END without passing {fork.join!r}"
            if source in way:
                yield f"the parallel way {head!r} after {source!r} leads back to {source!r} before it joins"
            if fork.join not in {target for name in way for target in graph.after(name)}:
                yield f"the parallel way {head!r} after {source!r} never arrives at {fork.join!r}"
        for (one, first), (other, second) in combinations(ways.items(), 2):
            if first & second - {END}:
                yield f"the parallel ways {one!r} and {other!r} share {_list(sorted(first & second - {END}))}"
            yield from _write_conflicts(workflow, first, second)
    yield from _entries_to_joins(graph)


def _write_conflicts(workflow: Shape, first: set[str], second: set[str]) -> Iterable[str]:
    fields = fields_of(workflow.state)
    for one in sorted(first & set(workflow.nodes)):
        for other in sorted(second & set(workflow.nodes)):
            for name in sorted(set(workflow.nodes[one].writes) & set(workflow.nodes[other].writes)):
                if isinstance(fields[name].merge, Replace):
                    yield (
                        f"{one!r} and {other!r} run in parallel and both write {name!r}: "
                        "give the field a merge, as in Annotated[list[str], Append()]"
                    )


def _entries_to_joins(graph: Graph) -> Iterable[str]:
    forks = [route for route in graph.routes.values() if isinstance(route, Fork)]
    for fork in forks:
        inside = graph.region(fork)
        for name in graph.routes:
            if fork.join in graph.after(name) and name not in inside:
                yield f"{name!r} goes to the join {fork.join!r} from outside its parallel ways"
    joins = [fork.join for fork in forks]
    for join in sorted({name for name in joins if joins.count(name) > 1}):
        yield f"two forks join at {join!r}: give each a join of its own"


def _no_field(state: type[State]) -> str:
    return f"which is not a field of {state.__name__}; its fields are {_list(fields_of(state))}"


def _list(names: Iterable[str] | Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in names) or "none"

"""What must hold for parallel ways: each comes to its join and nowhere else, and none writes over another."""

from collections.abc import Iterable
from itertools import combinations

from engine.definition.check_branches import items_of
from engine.definition.edges import END
from engine.definition.graph import Graph
from engine.definition.phrases import listed
from engine.definition.routes import Choice, Fork
from engine.definition.shape import Shape
from engine.definition.state import Replace, fields_of


def fork_faults(workflow: Shape) -> Iterable[str]:
    """Give what is wrong with the names in parallel edges."""
    for source, fork in workflow.graph.routes.items():
        if isinstance(fork, Fork):
            if fork.join not in workflow.nodes:
                yield f"the parallel ways after {source!r} join at {fork.join!r}, which is not a node"
            for name in fork.optional:
                if name not in fork.targets:
                    ways = listed(fork.targets)
                    yield f"{name!r} is said to be optional after {source!r}, and is none of the ways, which are {ways}"


def way_faults(workflow: Shape) -> Iterable[str]:
    """Give what is wrong with the ways themselves, once the names are right."""
    graph = workflow.graph
    for source, fork in graph.forks.items():
        ways = {head: graph.reachable([head], without=[fork.join]) for head in fork.targets}
        for head, way in ways.items():
            if END in way:
                yield f"the parallel way {head!r} after {source!r} can reach END without passing {fork.join!r}"
            if source in way:
                yield f"the parallel way {head!r} after {source!r} leads back to {source!r} before it joins"
            if fork.join not in {target for name in way for target in graph.after(name)}:
                yield f"the parallel way {head!r} after {source!r} never arrives at {fork.join!r}"
        for one, other in _taken_together(workflow, source, fork):
            if shared := ways[one] & ways[other] - {END}:
                yield f"the parallel ways {one!r} and {other!r} share {listed(sorted(shared))}"
            elif not fork.first:
                yield from _write_conflicts(workflow, ways[one], ways[other])
    yield from _entries_to_joins(graph)


def _taken_together(workflow: Shape, source: str, fork: Fork) -> list[tuple[str, str]]:
    """Give the pairs of ways that may be under way at once; a branch takes those of one value."""
    route = workflow.graph.routes[source]
    if not isinstance(route, Choice) or items_of(fields_of(workflow.state)[route.on].annotation) is not None:
        return list(combinations(fork.targets, 2))
    groups = [*route.to.values(), route.default]
    return list(dict.fromkeys(pair for group in groups for pair in combinations(group, 2)))


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
    for source, fork in graph.forks.items():
        inside = graph.region(fork)
        straight = {source} if isinstance(graph.routes[source], Choice) else set[str]()
        for name in graph.routes:
            if fork.join in graph.after(name) and name not in inside | straight:
                yield f"{name!r} goes to the join {fork.join!r} from outside its parallel ways"
    joins = [fork.join for fork in graph.forks.values()]
    for join in sorted({name for name in joins if joins.count(name) > 1}):
        yield f"two forks join at {join!r}: give each a join of its own"

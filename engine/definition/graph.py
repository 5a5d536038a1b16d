"""The edges of a workflow in their normal form: one way on from each node, and the regions between fork and join."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.definition.edges import END, START, Branch, Chain, Edge, Parallel, branch_key


@dataclass(frozen=True, slots=True)
class Next:
    """One node follows."""

    target: str

    @property
    def targets(self) -> tuple[str, ...]:
        """All nodes that may follow."""
        return (self.target,)


@dataclass(frozen=True, slots=True)
class Choice:
    """The value of a field says which node follows."""

    on: str
    to: Mapping[str, str]
    default: str | None

    @property
    def targets(self) -> tuple[str, ...]:
        """All nodes that may follow."""
        return tuple(dict.fromkeys([*self.to.values(), *([self.default] if self.default else [])]))

    def choose(self, value: Any) -> str | None:
        """Give the node that follows a value; None if no way is given for it."""
        return self.to.get(branch_key(value), self.default)


@dataclass(frozen=True, slots=True)
class Fork:
    """Several nodes follow at once."""

    targets: tuple[str, ...]
    join: str


Route = Next | Choice | Fork


@dataclass(frozen=True)
class Graph:
    """Which node follows which.

    Attributes:
        routes: the way on from each node, and from START.
        fallbacks: the node that takes over from another.
        faults: what is wrong with the edges themselves.
    """

    routes: Mapping[str, Route]
    fallbacks: Mapping[str, str]
    faults: Sequence[str] = field(default_factory=tuple)

    @classmethod
    def of(cls, nodes: Iterable[str], edges: Iterable[Edge], fallbacks: Mapping[str, str]) -> "Graph":
        """Bring edges into their normal form; the last node of a parallel way goes on to the join."""
        routes: dict[str, Route] = {}
        faults: list[str] = []
        for edge in edges:
            for source, route in _routes_of(edge):
                if routes.setdefault(source, route) != route:
                    faults.append(f"{source!r} has two ways on: use a Branch or a Parallel")
        graph = cls(routes, fallbacks)
        forks = [route for route in routes.values() if isinstance(route, Fork)]
        for fork in sorted(forks, key=lambda fork: len(graph.region(fork))):  # the inner ones first
            for name in graph.region(fork):
                if name not in routes and name in nodes:
                    routes[name] = Next(fork.join)
        return cls(routes, fallbacks, tuple(faults))

    def after(self, name: str) -> tuple[str, ...]:
        """Give every node that may follow, the fallback included."""
        route = self.routes.get(name)
        found = route.targets if route else ()
        return (*found, self.fallbacks[name]) if name in self.fallbacks else found

    def reachable(self, start: Iterable[str], *, without: Iterable[str] = ()) -> set[str]:
        """Give every node that can follow from some, themselves included; the ways end at `without`."""
        seen: set[str] = set()
        todo, closed = list(start), set(without)
        while todo:
            name = todo.pop()
            if name not in seen and name not in closed:
                seen.add(name)
                todo.extend(self.after(name))
        return seen

    def region(self, fork: Fork) -> set[str]:
        """Give the nodes between a fork and its join."""
        return self.reachable(fork.targets, without=[fork.join, END])

    @cached_property
    def joins(self) -> Mapping[str, int]:
        """How many ways arrive at each join."""
        return {route.join: len(route.targets) for route in self.routes.values() if isinstance(route, Fork)}

    def cycles(self, nodes: Iterable[str], *, without: Iterable[str] = ()) -> list[set[str]]:
        """Give the groups of nodes that can follow from themselves, once the ways through `without` are closed."""
        closed = set(without)
        left = [name for name in nodes if name not in closed]
        reach = {name: self.reachable(self.after(name), without=closed) for name in left}
        groups: list[set[str]] = []
        for name in left:
            if name in reach[name] and not any(name in group for group in groups):
                groups.append({other for other in reach[name] if name in reach.get(other, set())} | {name})
        return groups


def _routes_of(edge: Edge) -> Iterable[tuple[str, Route]]:
    if isinstance(edge, Chain):
        for source, target in zip(edge.nodes, edge.nodes[1:], strict=False):
            yield source, Next(target)
    elif isinstance(edge, Branch):
        yield edge.source, Choice(edge.on, dict(edge.to), edge.default)
    elif isinstance(edge, Parallel):
        yield edge.source, Fork(tuple(edge.to), edge.join)


def mermaid(graph: Graph, kinds: Mapping[str, str]) -> str:
    """Draw the graph as a Mermaid flowchart."""
    lines = ["flowchart TD", '  START(["start"])', '  END_(["end"])']
    lines += [f'  {_id(name)}["{name}<br/><small>{kind}</small>"]' for name, kind in sorted(kinds.items())]
    for source, route in sorted(graph.routes.items(), key=lambda item: item[0]):
        if isinstance(route, Choice):
            ways = sorted(route.to.items())
            lines += [f'  {_id(source)} -- "{route.on} = {value}" --> {_id(to)}' for value, to in ways]
            lines += [f"  {_id(source)} -- otherwise --> {_id(route.default)}"] if route.default else []
        else:
            lines += [f"  {_id(source)} --> {_id(target)}" for target in route.targets]
    lines += [f"  {_id(source)} -. falls back .-> {_id(target)}" for source, target in sorted(graph.fallbacks.items())]
    return "\n".join(lines)


def _id(name: str) -> str:
    return {END: "END_", START: START}.get(name, f"n_{name.replace('-', '_')}")

"""The edges of a workflow in their normal form: one way on from each node, and the ways between fork and join."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from engine.definition.edges import END, Edge
from engine.definition.routes import Choice, Fork, Next, Route, routes_of


@dataclass(frozen=True, slots=True)
class Way:
    """One way of a fork.

    Attributes:
        head: its first node, which names it.
        nodes: all of its nodes, those of forks inside it included.
    """

    head: str
    fork: Fork
    nodes: frozenset[str]

    @property
    def is_optional(self) -> bool:
        """Whether it may fail."""
        return self.head in self.fork.optional

    @property
    def may_end_early(self) -> bool:
        """Whether it may end before it has arrived at the join."""
        return self.is_optional or self.fork.first


@dataclass(frozen=True)
class Graph:
    """Which node follows which.

    Attributes:
        routes: the way on from each node, and from START.
        fallbacks: the node that takes over from another.
        faults: what is wrong with the edges themselves.
        forks: the nodes after which ways part, those of a branch with a join included.
    """

    routes: Mapping[str, Route]
    fallbacks: Mapping[str, str]
    faults: Sequence[str] = field(default_factory=tuple)
    forks: Mapping[str, Fork] = field(default_factory=dict[str, Fork])

    @classmethod
    def of(cls, nodes: Iterable[str], edges: Iterable[Edge], fallbacks: Mapping[str, str]) -> "Graph":
        """Bring edges into their normal form; the last node of a parallel way goes on to the join."""
        routes: dict[str, Route] = {}
        faults: list[str] = []
        for edge in edges:
            for source, route in routes_of(edge):
                if routes.setdefault(source, route) != route:
                    faults.append(f"{source!r} has two ways on: use a Branch or a Parallel")
        graph = cls(routes, fallbacks)
        forks = {source: fork for source in routes if (fork := graph._fork_after(source))}
        for fork in sorted(forks.values(), key=lambda fork: len(graph.region(fork))):  # the inner ones first
            for name in graph.region(fork):
                if name not in routes and name in nodes:
                    routes[name] = Next(fork.join)
        return cls(routes, fallbacks, tuple(faults), forks)

    def after(self, name: str) -> tuple[str, ...]:
        """Give every node that may follow, the fallback included."""
        route = self.routes.get(name)
        found = route.targets if route else ()
        return (*found, self.fallbacks[name]) if name in self.fallbacks else found

    def reachable(self, start: Iterable[str], *, without: Iterable[str] = ()) -> set[str]:
        """Give every node that can follow from some, themselves included; the ways end at `without`."""
        return _reachable(self.after, start, without)

    def region(self, fork: Fork) -> set[str]:
        """Give the nodes between a fork and its join."""
        return self.reachable(fork.targets, without=[fork.join, END])

    @cached_property
    def joins(self) -> Mapping[str, Fork]:
        """The forks by the node where their ways meet."""
        return {fork.join: fork for fork in self.forks.values()}

    @cached_property
    def ways(self) -> Sequence[Way]:
        """Every parallel way, those inside others first."""
        ways = [
            Way(head, fork, frozenset(self.reachable([head], without=[fork.join, END])))
            for fork in self.forks.values()
            for head in fork.targets
        ]
        return sorted(ways, key=lambda way: len(way.nodes))

    def loops(self, nodes: Iterable[str]) -> list[set[str]]:
        """Give the groups of nodes that can follow from themselves."""
        return _groups(self.after, nodes)

    def endless_loops(self, nodes: Iterable[str], *, bounded: Iterable[str]) -> list[set[str]]:
        """Give the groups that are left without the nodes that have a bound, and the ways of branches that have one."""
        closed = set(bounded)

        def after(name: str) -> tuple[str, ...]:
            route = self.routes.get(name)
            left = [self.fallbacks[name]] if name in self.fallbacks else []
            left += route.unbounded if isinstance(route, Choice) else route.targets if route else ()
            return tuple(target for target in left if target not in closed)

        return _groups(after, [name for name in nodes if name not in closed])

    def _fork_after(self, source: str) -> Fork | None:
        """Give the fork after a node; of a branch, the ways are what is taken at once and what comes to the join."""
        route = self.routes[source]
        if not isinstance(route, Choice) or route.join is None:
            return route if isinstance(route, Fork) else None
        join = route.join
        at_once = {target for targets in (*route.to.values(), route.default) if len(targets) > 1 for target in targets}
        heads = [target for target in route.targets if target != join]
        return Fork(tuple(head for head in heads if head in at_once or self._meets(head, source, join)), join)

    def _meets(self, head: str, source: str, join: str) -> bool:
        """Say whether whatever follows a node comes to the join, before END and before the fork."""
        reached = _reachable(self._after_or_join, [head], [join])
        return END not in reached and source not in reached

    def _after_or_join(self, name: str) -> tuple[str, ...]:
        join = getattr(self.routes.get(name), "join", None)
        return self.after(name) if join is None else (*self.after(name), join)


def _reachable(after: Callable[[str], Iterable[str]], start: Iterable[str], without: Iterable[str] = ()) -> set[str]:
    seen: set[str] = set()
    todo, closed = list(start), set(without)
    while todo:
        name = todo.pop()
        if name not in seen and name not in closed:
            seen.add(name)
            todo.extend(after(name))
    return seen


def _groups(after: Callable[[str], Iterable[str]], nodes: Iterable[str]) -> list[set[str]]:
    names = list(nodes)
    reach = {name: _reachable(after, after(name)) for name in names}
    groups: list[set[str]] = []
    for name in names:
        if name in reach[name] and not any(name in group for group in groups):
            groups.append({other for other in reach[name] if name in reach.get(other, set())} | {name})
    return groups

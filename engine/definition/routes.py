"""The way on from a node: one node follows, the value of a field says which, or several follow at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from engine.definition.edges import Branch, Chain, Edge, Parallel, branch_key


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
    """The value of a field says which nodes follow.

    Attributes:
        join: where nodes that follow at once meet.
        at_most: how often the run may go from here to a node.
        otherwise: what follows once it has gone there so often.
    """

    on: str
    to: Mapping[str, tuple[str, ...]]
    default: tuple[str, ...] = ()
    join: str | None = None
    at_most: Mapping[str, int] = field(default_factory=dict[str, int])
    otherwise: str | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """All nodes that may follow."""
        last = () if self.otherwise is None else (self.otherwise,)
        return tuple(dict.fromkeys([*self.chosen, *last]))

    @property
    def chosen(self) -> tuple[str, ...]:
        """The nodes that values lead to."""
        return tuple(dict.fromkeys(target for targets in (*self.to.values(), self.default) for target in targets))

    @property
    def unbounded(self) -> tuple[str, ...]:
        """The nodes that may follow however often."""
        return tuple(target for target in self.targets if target not in self.at_most or target == self.otherwise)

    def choose(self, value: Any) -> tuple[str, ...]:
        """Give the nodes that follow a value; none if no way is given for it."""
        if self.join is not None and isinstance(value, list):
            return self._choose_for_each(cast("list[Any]", value), self.join)
        return self.to.get(branch_key(value), self.default)

    def _choose_for_each(self, values: list[Any], join: str) -> tuple[str, ...]:
        found = [self.to.get(branch_key(value), self.default) for value in values]
        if not all(found):
            return ()
        ways = dict.fromkeys(target for targets in found for target in targets if target != join)
        return tuple(ways) or (not values and self.default) or (join,)

    def within_bounds(self, targets: tuple[str, ...], taken: Mapping[str, int]) -> tuple[str, ...]:
        """Give the nodes that follow, when the run has gone from here to each node so often."""
        full = any(taken.get(target, 0) >= self.at_most[target] for target in targets if target in self.at_most)
        return (self.otherwise,) if full and self.otherwise is not None else targets


@dataclass(frozen=True, slots=True)
class Fork:
    """Several nodes follow at once, each the first of a way, and the ways meet at the join.

    Attributes:
        optional: the ways that may fail.
        first: whether the join waits for one way only, and the others end then.
    """

    targets: tuple[str, ...]
    join: str
    optional: tuple[str, ...] = ()
    first: bool = False


Route = Next | Choice | Fork


def routes_of(edge: Edge) -> Iterable[tuple[str, Route]]:
    """Give the ways on that an edge says, each with the node that it leaves."""
    if isinstance(edge, Chain):
        for source, target in zip(edge.nodes, edge.nodes[1:], strict=False):
            yield source, Next(target)
    elif isinstance(edge, Branch):
        to = {value: _several(targets) for value, targets in edge.to.items()}
        default = () if edge.default is None else _several(edge.default)
        yield edge.source, Choice(edge.on, to, default, edge.join, dict(edge.at_most), edge.otherwise)
    elif isinstance(edge, Parallel):
        yield edge.source, Fork(tuple(edge.to), edge.join, tuple(edge.optional), edge.wait_for == "first")


def _several(targets: str | tuple[str, ...]) -> tuple[str, ...]:
    return (targets,) if isinstance(targets, str) else targets

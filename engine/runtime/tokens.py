"""What is counted so that every join runs once: visits of nodes, ways sent and arrived, ways that ended, turns taken.

The counts are a channel of their own; each step adds to it, so that steps at each other's side do not get in the way.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from engine.definition.graph import Graph, Way
from engine.definition.routes import Choice, Fork
from engine.runtime.run import Step

COUNTS = "flow:counts"
"""The channel."""

Counts = Mapping[str, int]


def add_counts(old: Counts | None, new: Counts | None) -> dict[str, int]:
    """Give the sums."""
    counts = dict(old or {})
    for name, more in (new or {}).items():
        counts[name] = counts.get(name, 0) + more
    return counts


def taken_from(source: str, choice: Choice, counts: Counts) -> Mapping[str, int]:
    """Say how often the run went from a branch to each node that it bounds."""
    return {target: counts.get(f"taken:{source}:{target}", 0) for target in choice.at_most}


def ended(counts: Counts) -> set[str]:
    """Give the ways that ended before they arrived, by their first nodes."""
    return {name.removeprefix("ended:") for name, many in counts.items() if name.startswith("ended:") and many > 0}


def started(fork: Fork, targets: Iterable[str]) -> Counts:
    """Count the ways that a branch at START sends to its join; one that leads straight there arrives at once."""
    ways = _sent(fork, targets)
    return {f"sent:{fork.join}": ways, f"arrived:{fork.join}": int(fork.join in targets)} if ways else {}


def _sent(fork: Fork, targets: Iterable[str]) -> int:
    return sum(target in fork.targets or target == fork.join for target in targets)


@dataclass(frozen=True)
class Place:
    """Where a node stands in its graph.

    Attributes:
        ways: the ways around it that may end early, the innermost first.
        meets: the fork whose ways meet here.
        parts: the fork after it.
    """

    name: str
    graph: Graph
    ways: tuple[Way, ...]
    meets: Fork | None
    parts: Fork | None

    @classmethod
    def of(cls, name: str, graph: Graph) -> "Place":
        """Find a node in its graph."""
        ways = tuple(way for way in graph.ways if way.may_end_early and name in way.nodes)
        return cls(name, graph, ways, graph.joins.get(name), graph.forks.get(name))

    @cached_property
    def optional(self) -> Way | None:
        """The innermost way around the node that may fail."""
        return next((way for way in self.ways if way.is_optional), None)

    @cached_property
    def races(self) -> tuple[Way, ...]:
        """The ways around the node of which only the first counts, the innermost first."""
        return tuple(way for way in self.ways if way.fork.first)

    @cached_property
    def begins_anew(self) -> tuple[str, ...]:
        """The ways after the node, if one of them may end early."""
        fork = self.parts
        return fork.targets if fork is not None and (fork.first or fork.optional) else ()

    def has_ended(self, counts: Counts) -> bool:
        """Say whether a way around the node ended in an earlier superstep."""
        return any(counts.get(f"ended:{way.head}", 0) > 0 for way in self.ways)

    def still_waits(self, counts: Counts) -> bool:
        """Say whether the join still waits for a way; the last one to arrive wakes it again."""
        if self.meets is None:
            return False
        expected = counts.get(f"sent:{self.name}", 0) or len(self.meets.targets)
        return counts.get(f"arrived:{self.name}", 0) < expected

    def won(self, step: Step) -> Way | None:
        """Give the way that arrives with a step before all others."""
        if step.gives_up:
            return None
        return next((way for way in self.races if way.fork.join in step.goto), None)

    def counted(self, step: Step, counts: Counts) -> dict[str, int]:
        """Count a step: its visit, what arrives with it, and what it sends out."""
        more = {f"visits:{self.name}": 1}
        for name, many in self._moves(step, counts):
            if many:
                more[name] = more.get(name, 0) + many
        return more

    def _moves(self, step: Step, counts: Counts) -> Iterable[tuple[str, int]]:
        if self.meets is not None:
            yield from _taken_back(counts, f"arrived:{self.name}", f"sent:{self.name}")
        for target in step.goto:
            if target in self.graph.joins:
                yield f"arrived:{target}", 1
        if self.ways:
            yield from self._ends(step)
        if (fork := self.parts) is not None:  # what its last turn has left over is taken back
            ends = (f"ended:{head}" for head in fork.targets)
            yield from _taken_back(counts, f"arrived:{fork.join}", f"sent:{fork.join}", *ends)
        if isinstance(step.way, Choice) and not step.record.fallback_to:
            if fork is not None:
                yield f"sent:{fork.join}", _sent(fork, step.goto)
            for target in step.goto:
                yield f"taken:{self.name}:{target}", int(target in step.way.at_most)

    def _ends(self, step: Step) -> Iterable[tuple[str, int]]:
        """Count the ways that end with a step: its own if it gives up, the others if it is the first to arrive."""
        won = self.won(step)
        if step.gives_up and self.optional is not None:
            yield f"ended:{self.optional.head}", 1
        elif won is not None:
            yield f"arrived:{won.fork.join}", len(won.fork.targets)  # nobody else is waited for
            for head in won.fork.targets:
                yield f"ended:{head}", int(head != won.head)


def _taken_back(counts: Counts, *names: str) -> Iterable[tuple[str, int]]:
    for name in names:
        yield name, -counts.get(name, 0)

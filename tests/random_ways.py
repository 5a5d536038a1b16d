"""A strategy for workflows of forks, races, loops and sub-workflows, and an interpreter that says where they lead."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Any, Literal

from hypothesis import strategies as st
from pydantic import create_model

from engine.definition.edges import END, START, Branch, Chain, Edge, Parallel
from engine.definition.state import Append, State
from engine.definition.workflow import Workflow
from engine.nodes.subflow import Subflow
from tests.ways import Do

Shape = tuple[Any, ...]
PICKS = 12  # fields that branches read; more branches than that are too many

RandomState = create_model(
    "RandomState",
    __base__=State,
    __module__=__name__,
    start=(str, "q"),
    trail=(Annotated[list[str], Append()], []),
    again=(Literal["yes"], "yes"),
    **{f"pick{n}": (list[Literal["a", "b", "c"]], []) for n in range(PICKS)},
)

NODE: st.SearchStrategy[Shape] = st.just(("node",))


def _inside(inner: st.SearchStrategy[Shape]) -> st.SearchStrategy[Shape]:
    ways = st.lists(st.tuples(inner, st.sampled_from(["sure", "optional", "fails"])), min_size=2, max_size=3)
    return st.one_of(
        st.tuples(st.just("sequence"), inner, inner),
        st.tuples(st.just("fork"), ways),
        st.tuples(st.just("race"), inner, st.integers(0, 2)),
        st.tuples(st.just("pick"), st.lists(inner, min_size=3, max_size=3), st.sets(st.integers(0, 2))),
        st.tuples(st.just("loop"), inner, st.integers(1, 2)),
        st.tuples(st.just("sub"), inner),
    )


SHAPES = st.recursive(NODE, _inside, max_leaves=7)


@dataclass
class Laid:
    """A shape as nodes and edges, and what a run of it does.

    `run` gives the names that the trail gets, and how many supersteps that takes.
    """

    names: Any = field(default_factory=count)
    picks: Any = field(default_factory=lambda: iter(range(PICKS)))
    nodes: dict[str, Any] = field(default_factory=dict[str, Any])
    edges: list[Edge] = field(default_factory=list[Edge])

    def node(self, **fields: Any) -> str:
        name = f"n{next(self.names)}"
        self.nodes[name] = Do(says=name, **fields)
        return name

    def lay(self, shape: Shape, after: str) -> tuple[str, Any]:
        """Lay a shape out before a node, and give its first node and what it does."""
        return getattr(self, f"_{shape[0]}")(after, *shape[1:])

    def _node(self, after: str) -> tuple[str, Any]:
        name = self.node()
        self.edges.append(Chain(name, after))
        return name, lambda taken: ([name], 1)

    def _sequence(self, after: str, first: Shape, second: Shape) -> tuple[str, Any]:
        head, does_second = self.lay(second, after)
        entry, does_first = self.lay(first, head)
        return entry, lambda taken: _one_after_another(does_first(taken), does_second(taken))

    def _fork(self, after: str, ways: list[tuple[Shape, str]]) -> tuple[str, Any]:
        fork, join = self.node(), self.node()
        self.edges.append(Chain(join, after))
        heads, does, optional = [], [], []
        for shape, kind in ways:
            end = join
            if kind == "fails":
                end = self.node(fails=True)
                self.edges.append(Chain(end, join))
            head, runs = self.lay(shape, end)
            heads.append(head)
            does.append((runs, int(kind == "fails")))
            optional += [head] if kind != "sure" else []
        self.edges.append(Parallel(fork, to=heads, join=join, optional=optional))
        return fork, lambda taken: _at_once(fork, [_later(runs(taken), more) for runs, more in does], join)

    def _race(self, after: str, shape: Shape, losers: int) -> tuple[str, Any]:
        fork, join = self.node(), self.node()
        self.edges.append(Chain(join, after))
        head, runs = self.lay(shape, join)
        heads = [head]
        longest = runs(Counter())[1]
        for _ in range(losers + 1):
            names = [self.node() for _ in range(longest + 1)]
            self.edges += [Chain(*names)] if len(names) > 1 else []
            heads.append(names[0])
        self.edges.append(Parallel(fork, to=sorted(heads), join=join, wait_for="first"))
        return fork, lambda taken: _at_once(fork, [runs(taken)], join)

    def _pick(self, after: str, shapes: list[Shape], picked: set[int]) -> tuple[str, Any]:
        name = f"pick{next(self.picks)}"
        fork, join = self.node(sets={name: ["abc"[number] for number in sorted(picked)]}), self.node()
        self.edges.append(Chain(join, after))
        ways = [self.lay(shape, join) for shape in shapes]
        to = {letter: head for letter, (head, _) in zip("abc", ways, strict=True)}
        self.edges.append(Branch(fork, on=name, to=to, join=join))
        taken_ways = [runs for number, (_, runs) in enumerate(ways) if number in picked]
        return fork, lambda taken: _at_once(fork, [runs(taken) for runs in taken_ways], join)

    def _loop(self, after: str, body: Shape, turns: int) -> tuple[str, Any]:
        check = self.node()
        head, does = self.lay(body, check)
        self.edges.append(Branch(check, on="again", to={"yes": head}, at_most={head: turns}, otherwise=after))

        def run(taken: Counter[str]) -> tuple[list[str], int]:
            done = _one_after_another(does(taken), ([check], 1))
            while taken[check] < turns:
                taken[check] += 1
                done = _one_after_another(done, does(taken), ([check], 1))
            return done

        return head, run

    def _sub(self, after: str, body: Shape) -> tuple[str, Any]:
        inner = Laid(self.names)
        workflow, does = inner.workflow(body, name="inner")
        name = f"n{next(self.names)}"
        self.nodes[name] = Subflow(workflow=workflow, into={"trail": "trail"})
        self.edges.append(Chain(name, after))
        return name, lambda taken: (does(Counter())[0], 1)

    def workflow(self, shape: Shape, name: str = "any") -> tuple[Workflow, Any]:
        head, does = self.lay(shape, END)
        edges = [Chain(START, head), *self.edges]
        return Workflow(name=name, state=RandomState, nodes=self.nodes, edges=edges), does


def _one_after_another(*parts: tuple[list[str], int]) -> tuple[list[str], int]:
    return [name for names, _ in parts for name in names], sum(time for _, time in parts)


def _at_once(fork: str, ways: list[tuple[list[str], int]], join: str) -> tuple[list[str], int]:
    names = [name for names, _ in ways for name in names]
    return [fork, *names, join], 2 + max((time for _, time in ways), default=0)


def _later(way: tuple[list[str], int], more: int) -> tuple[list[str], int]:
    return way[0], way[1] + more


def build(shape: Shape) -> tuple[Workflow, list[str]] | None:
    """Give a workflow and the names that its trail gets, in any order; None if it has too many branches."""
    try:
        workflow, does = Laid().workflow(shape)
    except StopIteration:
        return None
    return workflow, sorted(does(Counter())[0])


FLOWS = SHAPES.map(build).filter(bool)

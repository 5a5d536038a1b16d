"""A strategy for hypothesis: any valid workflow, built of sequences, branches, loops and parallel ways."""

from itertools import count
from typing import Any

from hypothesis import strategies as st

from engine.definition.edges import END, START, Branch, Chain, Parallel
from engine.definition.policies import Breaker, Budget, Cache, Retry
from engine.definition.workflow import Workflow
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from engine.nodes.generate import Generate
from engine.nodes.retrieve import Retrieve
from engine.nodes.validate import Validate
from tests.flows import Ask, go_right, is_good, note, open_ticket, search

POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "retry": st.builds(Retry, attempts=st.integers(1, 5), wait=st.floats(0, 2)),
        "breaker": st.builds(Breaker, failures=st.integers(1, 9)),
        "cache": st.builds(Cache, ttl=st.floats(1, 100)),
        "seconds": st.floats(10, 100),
        "call_seconds": st.floats(10, 100),
        "max_visits": st.integers(5, 9),
        "reasks": st.integers(0, 3),
    },
)


def noting(policies: dict[str, Any]) -> Compute:
    return Compute(function=note, into="notes", **policies)


QUIET = st.builds(noting, POLICIES)
"""Nodes that may stand in parallel ways: they only append."""

LOUD = st.one_of(
    QUIET,
    st.builds(lambda p: Retrieve(retriever=search, query="question", into="passages", **p), POLICIES),
    st.builds(
        lambda p, text: Generate(model="large", prompt=f"{{question}} {text}", into="answer", max_tokens=9, **p),
        POLICIES,
        st.text('abc é"', max_size=9),
    ),
    st.builds(
        lambda p: CallTool(
            tool=open_ticket,
            args={"question": "question"},
            into="ticket",
            effect="read" if "cache" in p else "idempotent",
            **p,
        ),
        POLICIES,
    ),
    st.builds(lambda p: Validate(check=[is_good], into="ready", **p), POLICIES),
)

SHAPES = st.recursive(
    st.tuples(st.just("node"), LOUD),
    lambda inner: st.one_of(
        st.tuples(st.just("sequence"), inner, inner),
        st.tuples(st.just("branch"), inner, inner),
        st.tuples(st.just("loop"), inner, st.integers(1, 4)),
        st.tuples(st.just("parallel"), st.lists(st.lists(QUIET, min_size=1, max_size=3), min_size=2, max_size=3)),
    ),
    max_leaves=6,
)


class Builder:
    """Lays shapes out as nodes and edges, from the end to the start."""

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}
        self.edges: list[Any] = []
        self._numbers = count(1)

    def add(self, node: Any) -> str:
        name = f"n{next(self._numbers)}"
        self.nodes[name] = node
        return name

    def lay(self, shape: tuple[Any, ...], after: str) -> str:
        """Lay a shape out before a node, and give its entry."""
        return getattr(self, f"_{shape[0]}")(after, *shape[1:])

    def _node(self, after: str, node: Any) -> str:
        name = self.add(node)
        self.edges.append(Chain(name, after))
        return name

    def _sequence(self, after: str, first: Any, second: Any) -> str:
        return self.lay(first, self.lay(second, after))

    def _branch(self, after: str, left: Any, right: Any) -> str:
        name = self.add(Compute(function=go_right, into="route"))
        ways = {"left": self.lay(left, after), "right": self.lay(right, after)}
        self.edges.append(Branch(name, on="route", to=ways))
        return name

    def _loop(self, after: str, body: Any, bound: int) -> str:
        name = self.add(Compute(function=go_right, into="route", max_visits=bound))
        self.edges.append(Branch(name, on="route", to={"left": self.lay(body, name), "right": after}))
        return name

    def _parallel(self, after: str, ways: list[list[Any]]) -> str:
        fork, join = self.add(noting({})), self.add(noting({}))
        heads = []
        for way in ways:
            names = [self.add(node) for node in way]
            if len(names) > 1:
                self.edges.append(Chain(*names))
            heads.append(names[0])
        self.edges += [Parallel(fork, to=heads, join=join), Chain(join, after)]
        return fork


def build(shape: tuple[Any, ...], budget: Budget) -> Workflow:
    builder = Builder()
    entry = builder.lay(shape, END)
    return Workflow(
        name="any", state=Ask, nodes=builder.nodes, edges=[Chain(START, entry), *builder.edges], budget=budget
    )


BUDGETS = st.builds(Budget, tokens=st.integers(10_000, 99_999) | st.none(), calls=st.integers(500, 999) | st.none())
WORKFLOWS = st.builds(build, SHAPES, BUDGETS)

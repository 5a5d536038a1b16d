"""Edges are data: a chain, a branch on a field that some node wrote, or parallel ways that meet again."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator

from engine.definition.by_path import Component, Many

START = "START"
END = "END"


class Edge(Component):
    """A way from one node to others."""


class Chain(Edge):
    """One node after another: `Chain(START, "find", "draft", END)`."""

    nodes: tuple[str, ...]
    """The names in order, two at least."""

    def __init__(self, *nodes: str, **fields: Any) -> None:
        super().__init__(**({"nodes": nodes} if nodes else {}), **fields)

    @field_validator("nodes")
    @classmethod
    def _two_at_least(cls, nodes: tuple[str, ...]) -> tuple[str, ...]:
        if len(nodes) < 2:
            raise ValueError("a chain needs two nodes at least")
        return nodes


Targets = str | tuple[str, ...]
"""A field for the nodes that follow: one, or several at once."""


class Branch(Edge):
    """One way of several, by the value of a field: `Branch("check", on="verdict", to={"ok": END, "bad": "draft"})`.

    A value may lead to several nodes at once, which meet at the join; where the field is a list, so may each of its
    values, and an empty list leads to the default, or else straight to the join.
    """

    source: str
    """The node after which the field is read."""
    on: str
    """The field that decides."""
    to: Mapping[str, Targets]
    """The next node for each value, or several; booleans are `true` and `false`."""
    default: Targets | None = None
    """The next node for every other value, or several."""
    join: str | None = None
    """The node where ways that were taken at once meet again."""
    at_most: Mapping[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """How often a run may go from here to a node."""
    otherwise: str | None = None
    """The next node once the run has gone to one as often as it may."""

    def __init__(self, source: str | None = None, **fields: Any) -> None:
        super().__init__(**({"source": source} if source is not None else {}), **fields)

    @field_validator("to", mode="before")
    @classmethod
    def _keys_as_text(cls, to: Any) -> Any:
        return keyed(to)


class Parallel(Edge):
    """Several ways at once that meet again: `Parallel("plan", to=["web", "docs"], join="write")`.

    The last node of each way goes on to the join by itself; the join runs once, when every way has arrived. With
    `wait_for="first"` it runs when one has: the others are cancelled, and nothing that they wrote counts.
    """

    source: str
    """The node after which the ways part."""
    to: Many[str]
    """The first node of each way."""
    join: str
    """The node where the ways meet."""
    optional: Many[str] = ()
    """The ways that may fail: one that does ends at once, and the join runs without it."""
    wait_for: Literal["all", "first"] = "all"
    """Whether the join waits for all ways or for the first."""

    def __init__(self, source: str | None = None, **fields: Any) -> None:
        super().__init__(**({"source": source} if source is not None else {}), **fields)

    @field_validator("to")
    @classmethod
    def _different_ways(cls, to: Sequence[str]) -> Sequence[str]:
        if len(to) < 2 or len(set(to)) < len(to):
            raise ValueError("two different ways at least are needed")
        return to


AnyEdge = Annotated[SerializeAsAny[Edge], BeforeValidator(Edge.load)]
"""A field that holds an edge of any kind."""


def keyed(to: Any) -> Any:
    """Give a mapping with its keys as texts, as `branch_key` makes them; anything else is left to its field."""
    if not isinstance(to, Mapping):
        return to
    return {branch_key(value): target for value, target in cast("Mapping[Any, Any]", to).items()}


def branch_key(value: Any) -> str:
    """Give the text under which a branch looks a value up."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)

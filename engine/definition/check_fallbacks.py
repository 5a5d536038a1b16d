"""What must hold for what takes over when a node fails: another node, or a canned answer."""

from collections.abc import Iterable

from engine.definition.node import Node
from engine.definition.phrases import listed
from engine.definition.shape import Shape
from engine.definition.state import fields_of
from engine.errors import KINDS, UpdateInvalid


def fallback_faults(workflow: Shape) -> Iterable[str]:
    """Give what is wrong with fallbacks and canned answers."""
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
    for name, node in workflow.nodes.items():
        yield from _kinds(name, node)
        yield from _canned(name, node, workflow)


def _kinds(name: str, node: Node) -> Iterable[str]:
    if node.fallback_on and node.fallback is None:
        yield f"{name!r} says fallback_on and has no fallback"
    for kind in node.fallback_on:
        if kind not in KINDS:
            yield f"{name!r} falls back on {kind!r}, which is no kind of error; the kinds are {listed(KINDS)}"


def _canned(name: str, node: Node, workflow: Shape) -> Iterable[str]:
    fields = fields_of(workflow.state)
    for field, value in (node.canned or {}).items():
        if field not in node.writes:
            yield f"the canned answer of {name!r} has {field!r}, which is not among the fields it writes"
        elif field in fields:
            try:
                fields[field].to_json(value)
            except UpdateInvalid as error:
                yield f"the canned answer of {name!r} does not fit: {error}"

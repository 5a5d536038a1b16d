"""Taint: which origins each field of a state can have, worked out from the definition before anything runs.

It follows from who writes a field and what they read, so no crash, cache or replay can lose it; where a field may have
several origins it has all of them.
"""

from collections.abc import Mapping

from engine.definition.shape import Shape
from engine.definition.state import fields_of
from engine.definition.text_origin import Origins, TextOrigin

_NOBODY: Origins = frozenset()


def origins_of_fields(workflow: Shape, entering: Mapping[str, Origins] | None = None) -> Mapping[str, Origins]:
    """Give the origins of every field of a workflow.

    Args:
        workflow: its nodes and state.
        entering: the origins of what it is given, inside another; None where the user gives it.
    """
    held = {name: field.origin for name, field in fields_of(workflow.state).items()}
    user, system = frozenset({TextOrigin.USER}), frozenset({TextOrigin.SYSTEM})
    origins: dict[str, Origins] = {}
    for name, mark in held.items():
        given = user if entering is None else entering.get(name, system)
        origins[name] = given if mark is None else frozenset({mark}) | (given if entering else _NOBODY)
    changed = True
    while changed:  # a loop of the graph may lead an origin round; there are few, so it ends soon
        changed = False
        for node in workflow.nodes.values():
            for name, more in node.origins(origins).items():
                if not more <= origins.get(name, _NOBODY):
                    origins[name], changed = origins.get(name, _NOBODY) | more, True
    return origins

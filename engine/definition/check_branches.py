"""What must hold for a branch: its field exists, every value leads somewhere, and its bounds say where the run goes."""

import enum
from collections.abc import Iterable
from typing import Any, Literal, Union, cast, get_args, get_origin

from engine.definition.edges import END, branch_key
from engine.definition.fits import show
from engine.definition.phrases import listed, no_field
from engine.definition.routes import Choice
from engine.definition.shape import Shape
from engine.definition.state import State, fields_of


def branch_faults(workflow: Shape) -> Iterable[str]:
    """Give the faults of every branch."""
    for source, choice in workflow.graph.routes.items():
        if isinstance(choice, Choice):
            where = f"the branch after {source!r}"
            yield from _values(where, choice, workflow.state)
            yield from _bounds(where, choice)
            if choice.join is None:
                yield from _several_without_join(where, choice)
            else:
                yield from _several(where, choice, choice.join, workflow)


def _values(where: str, choice: Choice, state: type[State]) -> Iterable[str]:
    field = fields_of(state).get(choice.on)
    if field is None:
        yield f"{where} reads {choice.on!r}, {no_field(state)}"
        return
    items = items_of(field.annotation)
    values = possible_values(field.annotation if choice.join is None or items is None else items)
    if values is None:
        if not choice.default:
            mend = "declare it as a Literal or give the branch a default"
            if choice.join is None and items is not None and possible_values(items):
                mend = "name the join where the ways of its values meet"
            yield (f"{where} reads {choice.on!r}, whose values cannot be listed ({show(field.annotation)}): {mend}")
        return
    for missing in sorted(values - set(choice.to)) if not choice.default else ():
        yield f"{where} does not say where {choice.on} = {missing!r} goes"
    for extra in sorted(set(choice.to) - values - {"null"}):
        yield f"{where} has a way for {choice.on} = {extra!r}, which the field never is"


def _bounds(where: str, choice: Choice) -> Iterable[str]:
    for target in choice.at_most:
        if target not in choice.chosen:
            yield f"{where} bounds {target!r}, to which it does not lead; it leads to {listed(choice.chosen)}"
    if choice.at_most and choice.otherwise is None:
        yield f"{where} has at_most and does not say where the run goes then: give it an otherwise"
    if choice.otherwise is not None and not choice.at_most:
        yield f"{where} has an otherwise and bounds no way: give it an at_most, or a default for other values"
    if choice.otherwise in choice.at_most:
        yield f"{where} goes to {choice.otherwise!r} once its bound is met: let otherwise be another node"


def _several_without_join(where: str, choice: Choice) -> Iterable[str]:
    for value, targets in _by_value(choice):
        if not targets:
            yield f"{where} leads nowhere for {value}: name a node, or a join and lead there"
        if len(targets) > 1:
            yield f"{where} leads to several nodes for {value}: name the join where they meet"


def _several(where: str, choice: Choice, join: str, workflow: Shape) -> Iterable[str]:
    if join not in workflow.nodes:
        yield f"the ways of {where} join at {join!r}, which is not a node"
        return
    for value, targets in _by_value(choice):
        if not targets:
            yield f"{where} leads nowhere for {value}: lead to the join {join!r}"
        if len(set(targets)) < len(targets):
            yield f"{where} names a node twice for {value}"
        for target in sorted({join, END} & set(targets)) if len(targets) > 1 else ():
            yield f"{where} leads to {target!r} beside other ways for {value}: leave it out"
    field = fields_of(workflow.state).get(choice.on)
    if field is not None and items_of(field.annotation) is not None:
        ways = [way for fork in workflow.graph.forks.values() if fork.join == join for way in fork.targets]
        for target in choice.chosen:
            if target not in (*ways, join):
                yield f"{where} reads a list, and its way {target!r} does not lead to the join {join!r}"


def _by_value(choice: Choice) -> Iterable[tuple[str, tuple[str, ...]]]:
    yield from ((f"{choice.on} = {value!r}", targets) for value, targets in choice.to.items())
    if choice.default:
        yield "every other value", choice.default


def items_of(annotation: Any) -> Any:
    """Give the type of the items, if a type is a list or one that may be None; else None."""
    for kind in get_args(annotation) if _is_union(annotation) else (annotation,):
        if get_origin(kind) is list:
            return get_args(kind)[0]
    return None


def possible_values(annotation: Any) -> set[str] | None:
    """Give the texts of all values that a type allows, None aside; None if they cannot be listed."""
    if get_origin(annotation) is Literal:
        return {branch_key(value) for value in get_args(annotation) if value is not None}
    if annotation is bool:
        return {"true", "false"}
    if isinstance(annotation, enum.EnumType):
        members = cast("Iterable[enum.Enum]", annotation)
        return {branch_key(member.value) for member in members}
    if _is_union(annotation):
        parts = [possible_values(part) for part in get_args(annotation) if part is not type(None)]
        known = [part for part in parts if part is not None]
        return set[str]().union(*known) if len(known) == len(parts) else None
    return None


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) is Union or type(annotation).__name__ == "UnionType"

"""Whether a field can hold what a node writes, judged by the declared types alone; in doubt it can."""

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel


def can_hold(field: Any, written: Any) -> bool:
    """Say whether every value of the written type may stand in the field."""
    field, written = _plain(field), _plain(written)
    if Any in (field, written) or object is field or field == written:
        return True
    if _is_union(written):
        return all(can_hold(field, one) for one in get_args(written))
    if _is_union(field):
        return any(can_hold(one, written) for one in get_args(field))
    if get_origin(written) is Literal:
        return _holds_literal(field, get_args(written))
    if get_origin(field) is Literal:
        return written is bool and set(get_args(field)) >= {True, False}
    return _holds_class(field, written)


def show(annotation: Any) -> str:
    """Write a type the way its author did."""
    plain = _plain(annotation)
    return plain.__name__ if isinstance(plain, type) and not get_args(plain) else str(plain).replace("typing.", "")


def _plain(annotation: Any) -> Any:
    return _plain(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _holds_literal(field: Any, values: Sequence[Any]) -> bool:
    if get_origin(field) is Literal:
        return set(values) <= set(get_args(field))
    return all(can_hold(field, type(value)) for value in values)


def _holds_class(field: Any, written: Any) -> bool:
    outer, inner = get_origin(field) or field, get_origin(written) or written
    if not (isinstance(outer, type) and isinstance(inner, type)):
        return True
    if issubclass(inner, BaseModel) and not issubclass(outer, BaseModel):
        return issubclass(dict, outer)
    if outer is float and inner is int:
        return True
    if inner is bool and outer is not bool:
        return False
    sequences = issubclass(outer, Sequence) and issubclass(inner, Sequence) and str not in (outer, inner)
    mappings = issubclass(outer, Mapping) and issubclass(inner, Mapping)
    if not (sequences or mappings or issubclass(inner, outer)):
        return False
    of_field, of_written = get_args(field), get_args(written)
    return len(of_field) != len(of_written) or all(map(can_hold, of_field, of_written))

"""Which code a definition names."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import BaseModel

from engine.definition.by_path import CodePath, path_of
from engine.definition.guardrail import Guardrail


def guardrails_in(value: Any) -> Iterable[Guardrail]:
    """Give all guardrails of a definition, those of nodes and workflows inside it included."""
    if isinstance(value, Guardrail):
        yield value
    else:
        for part in _parts_of(value):
            yield from guardrails_in(part)


def code_in(value: Any) -> Iterable[CodePath]:
    """Give all code that a definition names, the classes of users' own components included."""
    if isinstance(value, CodePath):
        yield value
    elif isinstance(value, type):
        yield CodePath(path_of(value))
    else:
        if isinstance(value, BaseModel) and not type(value).__module__.startswith("engine."):
            yield CodePath(path_of(type(value)))
        for part in _parts_of(value):
            yield from code_in(part)


def _parts_of(value: Any) -> Iterable[Any]:
    """Give what a component, mapping or list holds; nothing else holds anything."""
    if isinstance(value, BaseModel):
        return (getattr(value, name) for name in type(value).model_fields)
    if isinstance(value, Mapping):
        return cast("Mapping[Any, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list | tuple) else ()

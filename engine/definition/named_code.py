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
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from guardrails_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in cast("Mapping[Any, Any]", value).values():
            yield from guardrails_in(inner)
    elif isinstance(value, list | tuple):
        for inner in cast("list[Any]", value):
            yield from guardrails_in(inner)


def code_in(value: Any) -> Iterable[CodePath]:
    """Give all code that a definition names, the classes of users' own components included."""
    if isinstance(value, CodePath):
        yield value
    elif isinstance(value, type):
        yield CodePath(path_of(value))
    elif isinstance(value, BaseModel):
        if not type(value).__module__.startswith("engine."):
            yield CodePath(path_of(type(value)))
        for name in type(value).model_fields:
            yield from code_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in cast("Mapping[Any, Any]", value).values():
            yield from code_in(inner)
    elif isinstance(value, list | tuple):
        for inner in cast("list[Any]", value):
            yield from code_in(inner)

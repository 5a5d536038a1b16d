"""The state of a run: declared fields, and how each takes in what a node writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from engine.definition.by_path import by_path, faults_of, path_of
from engine.definition.text_origin import TextOrigin
from engine.errors import InputError, UpdateInvalid


class State(BaseModel):
    """What a run knows: subclass it and declare fields; those without a default are the input of the workflow."""

    model_config = ConfigDict(extra="forbid")


class Merge(Protocol):
    """How a field takes in what a node writes; old and new are JSON."""

    def merge(self, old: Any, new: Any) -> Any:
        """Give the field's next value."""
        ...


@dataclass(frozen=True, slots=True)
class Replace:
    """The new value takes the place of the old one; what every field does unless it says otherwise."""

    def merge(self, old: Any, new: Any) -> Any:
        """Give the new value."""
        del old
        return new


@dataclass(frozen=True, slots=True)
class Append:
    """A list grows at its end: `notes: Annotated[list[str], Append()] = []`."""

    def merge(self, old: Any, new: Any) -> Any:
        """Give the longer list."""
        return [*(old or []), *(new or [])]


@dataclass(frozen=True, slots=True)
class MergeByKey:
    """A dictionary takes in keys; a list of objects takes in objects by the value under `key`."""

    key: str | None = None

    def merge(self, old: Any, new: Any) -> Any:
        """Give the union; the new side wins."""
        if self.key is None:
            merged: dict[str, Any] = {**(old or {}), **(new or {})}
            return merged
        items: list[dict[str, Any]] = [*(old or []), *(new or [])]
        by_key = {item[self.key]: item for item in items}
        return list(by_key.values())


@dataclass(frozen=True, slots=True)
class StateField:
    """One field of a state: its type, how it merges, how values become JSON, and whose words it is marked as."""

    name: str
    annotation: Any
    merge: Merge
    required: bool
    adapter: TypeAdapter[Any]
    origin: TextOrigin | None = None

    def to_json(self, value: Any) -> Any:
        """Check a value against the field's type and give it as JSON.

        Raises:
            UpdateInvalid: the field cannot hold the value.
        """
        try:
            checked = self.adapter.validate_python(value)
            return self.adapter.dump_python(checked, mode="json", warnings="error")
        except ValidationError as error:
            raise UpdateInvalid(f"the field {self.name!r} cannot hold this: {'; '.join(faults_of(error))}") from error
        except (TypeError, ValueError) as error:
            raise UpdateInvalid(f"the field {self.name!r} cannot be kept as JSON: {error}") from error


@lru_cache(maxsize=256)
def fields_of(state: type[State]) -> Mapping[str, StateField]:
    """Give the fields of a state by name."""
    return {name: _field(name, info) for name, info in state.model_fields.items()}


def plain_fields(types: Mapping[str, Any]) -> Mapping[str, StateField]:
    """Make fields of these types that belong to no state; each takes the place of what was there."""
    return {name: StateField(name, kind, Replace(), False, TypeAdapter(kind)) for name, kind in types.items()}


def _field(name: str, info: FieldInfo) -> StateField:
    merges = [mark for mark in info.metadata if isinstance(mark, Append | MergeByKey | Replace)]
    origins = [mark for mark in info.metadata if isinstance(mark, TextOrigin)]
    rest = [mark for mark in info.metadata if not isinstance(mark, Append | MergeByKey | Replace | TextOrigin)]
    annotation: Any = info.annotation
    for mark in rest:
        annotation = Annotated[annotation, mark]
    return StateField(
        name=name,
        annotation=info.annotation,
        merge=merges[-1] if merges else Replace(),
        required=info.is_required(),
        adapter=TypeAdapter(annotation),
        origin=origins[-1] if origins else None,
    )


def initial_state(state: type[State], given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the input of a run and give the whole state as JSON.

    Raises:
        InputError: a field is missing, unknown or of the wrong type; every fault is named.
    """
    try:
        checked = state.model_validate(dict(given))
        return checked.model_dump(mode="json", warnings="error")
    except ValidationError as error:
        known = ", ".join(f"{f.name}{'' if f.required else ' (optional)'}" for f in fields_of(state).values())
        faults = "; ".join(faults_of(error))
        raise InputError(f"the input does not fit {state.__name__}: {faults}; its fields are {known}") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"the input of {state.__name__} cannot be kept as JSON: {error}") from error


def default_state(state: type[State]) -> dict[str, Any]:
    """Give the defaults of a state as JSON; fields without one are left out."""
    return state.model_construct().model_dump(mode="json")


def _load_state(value: Any) -> Any:
    loaded = by_path(value if isinstance(value, str) else path_of(value))
    if not (isinstance(loaded, type) and issubclass(loaded, State)):
        raise ValueError("a subclass of State is expected")
    return loaded


StateType = Annotated[type[State], BeforeValidator(_load_state), PlainSerializer(path_of, return_type=str)]
"""A field that holds a state class, written as its import path."""

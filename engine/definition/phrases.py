"""Turns of phrase that the sentences of several checks share."""

from collections.abc import Iterable

from engine.definition.state import State, fields_of


def no_field(state: type[State]) -> str:
    """Say that a name is not a field, and which are."""
    return f"which is not a field of {state.__name__}; its fields are {listed(fields_of(state))}"


def listed(names: Iterable[str]) -> str:
    """Name several things."""
    return ", ".join(repr(name) for name in names) or "none"

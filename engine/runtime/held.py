"""What a way writes that races others is held back: its own nodes see it, the state gets it once the way has won."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.definition.graph import Way
from engine.definition.state import StateField

HELD = "flow:held"
"""The channel: what each way has written, by its first node."""

Written = Mapping[str, Any]
Held = Mapping[str, Written | None]


def hold(fields: Mapping[str, StateField]) -> Callable[[Held | None, Held | None], dict[str, Written]]:
    """Give the function that adds to what ways have written; None drops what a way has."""

    def add(old: Held | None, new: Held | None) -> dict[str, Written]:
        held = {head: written for head, written in (old or {}).items() if written is not None}
        for head, written in (new or {}).items():
            if written is None:
                held.pop(head, None)
            else:
                held[head] = merged(held.get(head, {}), written, fields)
        return held

    return add


def merged(old: Written, new: Written, fields: Mapping[str, StateField]) -> dict[str, Any]:
    """Merge what was written later into what was written before, or into the state."""
    return {**old, **{name: fields[name].merge.merge(old.get(name), value) for name, value in new.items()}}


def seen(state: Mapping[str, Any], races: Sequence[Way], fields: Mapping[str, StateField]) -> Mapping[str, Any]:
    """Give the state as a node sees it: with what the ways around it have written, the outermost first."""
    held: Held = state.get(HELD) or {}
    for way in reversed(races):
        if written := held.get(way.head):
            state = merged(state, written, fields)
    return state


def put(
    update: Written, state: Mapping[str, Any], races: Sequence[Way], won: Way | None, fields: Mapping[str, StateField]
) -> dict[str, Any]:
    """Give what goes into the channels: what a way that has won had held goes one way further out."""
    if not races:
        return dict(update)
    if won is None:
        return {HELD: {races[0].head: update}} if update else {}
    held: Held = state.get(HELD) or {}
    whole = merged(held.get(won.head) or {}, update, fields)
    return put(whole, state, races[1:], None, fields)


def begun_anew(update: Written, state: Mapping[str, Any], heads: Sequence[str]) -> dict[str, Any]:
    """Add to an update that ways begin once more, so that nothing is held of their last turn."""
    held: Held = state.get(HELD) or {}
    dropped: Held = {head: None for head in heads if head in held}
    return {**update, HELD: {**(update.get(HELD) or {}), **dropped}} if dropped else dict(update)

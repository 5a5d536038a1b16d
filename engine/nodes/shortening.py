"""Shortening: what a request leaves out when the model says that it is too long to read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import BaseMessage


def shorter(
    inputs: Mapping[str, Any], names: Sequence[str], heard: Sequence[BaseMessage]
) -> Iterator[tuple[Mapping[str, Any], Sequence[BaseMessage]]]:
    """Give ever shorter versions of what a prompt is filled with and of the conversation before it.

    Each has half as many passages, the first ones, and the newer half of the turns; the shortest has one passage and
    no turn. What is neither is never cut.

    Args:
        inputs: the values of fields.
        names: the fields that the prompt names.
        heard: messages in pairs, the oldest first.
    """
    while True:
        long = {name: value for name in names if len(value := _passages(inputs.get(name))) > 1}
        if not long and not heard:
            return
        inputs = {**inputs, **{name: value[: (len(value) + 1) // 2] for name, value in long.items()}}
        kept = len(heard) // 4 * 2
        heard = heard[len(heard) - kept :]
        yield inputs, heard


def _passages(value: Any) -> list[Any]:
    """Give a value that is a list of passages; else none."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return items if all(isinstance(one, Mapping) and "text" in one for one in items) else []

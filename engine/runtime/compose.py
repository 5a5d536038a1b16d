"""Middleware around a core: the first one named is the outermost."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

Subject = TypeVar("Subject")
Result = TypeVar("Result")


def compose(
    middleware: Sequence[Callable[..., Awaitable[Any]]], core: Callable[[Subject], Awaitable[Result]]
) -> Callable[[Subject], Awaitable[Result]]:
    """Put middleware around a core; each is called with the subject and with `call_next`, the way inwards."""
    composed: Callable[[Subject], Awaitable[Result]] = core
    for layer in reversed(middleware):
        composed = partial(layer, call_next=composed)
    return composed

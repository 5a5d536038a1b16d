"""The moments at which a crash would hurt most, named, so that a test can crash there.

In production nobody listens and reaching a point costs one comparison.
"""

from collections.abc import Callable
from typing import Any

POINTS = ("before commit", "after commit", "before send", "after answer")
"""A commit is about to be made or was just made; a request is about to go out, or its answer is in hand, unwritten."""

Listener = Callable[[str, Any, Any], None]
"""Hears (point, call, answer): the call that goes out or was answered, and the answer; None at commits."""

_listeners: list[Listener] = []


def reach(point: str, call: Any = None, answer: Any = None) -> None:
    """Say that a point is reached."""
    for listener in _listeners:
        listener(point, call, answer)


def listen(listener: Listener) -> Callable[[], None]:
    """Hear of every point from now on, in the thread that reaches it; call what is given back to stop."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)

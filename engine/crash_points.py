"""The moments at which a crash would hurt most, named, so that a test can crash there.

In production nobody listens and reaching a point costs one comparison.
"""

from collections.abc import Callable

POINTS = ("before commit", "after commit", "before send", "after answer")
"""A commit is about to be made or was just made; a request is about to go out, or its answer is in hand, unwritten."""

_listeners: list[Callable[[str], None]] = []


def reach(point: str) -> None:
    """Say that a point is reached."""
    for listener in _listeners:
        listener(point)


def listen(listener: Callable[[str], None]) -> Callable[[], None]:
    """Hear of every point from now on, in the thread that reaches it; call what is given back to stop."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)

"""What a listener hears while a run runs."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A node is visited."""

    node: str
    visit: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A model wrote a piece of its answer."""

    node: str
    text: str


@dataclass(frozen=True, slots=True)
class TextReset:
    """What a model wrote so far in this step is void: it starts again."""

    node: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A visit ended: ok, failed or cancelled."""

    node: str
    status: str


Event = StepStarted | TextDelta | TextReset | StepFinished
Listener = Callable[[Event], None]

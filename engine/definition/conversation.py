"""A conversation: runs that belong together, each a turn that the next ones hear."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.definition.by_path import Frozen


class Conversation(Frozen):
    """What of a run makes a turn of its conversation; runs with the same `conversation_id` hear one another's turns."""

    says: str
    """The field of the input that holds what the user says."""
    answers: str
    """The field that a run returns, which holds the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What an earlier run of the conversation was asked, and what it answered.

    Attributes:
        says: JSON, usually a text; None if that run was given none.
        answers: JSON, usually a text; None if that run returned none.
        wrote: what the step that was asked for wrote in that run, if it has one.
    """

    run_id: str
    says: Any
    answers: Any
    wrote: Mapping[str, Any] | None = None

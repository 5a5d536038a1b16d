"""What a node asks a person, and what the person decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question to a person; the answer is bound to what is shown.

    Attributes:
        kind: approve for an action, ask for a value.
        text: what is asked, a sentence or two.
        shown: JSON: exactly what the answer is about, as a tool and its arguments.
        answer_schema: the JSON Schema that an answer fits; None where yes or no is all.
        seconds: how long the run waits for an answer; None for ever.
        default: the answer once that time is over; None counts as a refusal.
    """

    kind: Literal["approve", "ask"]
    text: str
    shown: Mapping[str, Any]
    answer_schema: Mapping[str, Any] | None = None
    seconds: float | None = None
    default: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decided.

    Attributes:
        agreed: whether they said yes or gave an answer.
        answer: JSON; None where yes or no was all.
        reason: why they refused, as they said.
    """

    agreed: bool
    answer: Any = None
    reason: str | None = None

"""Difficulty: rules that say whether a small model is likely to do, for a Switch to read; no model is asked."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import re2
from pydantic import Field

from engine.definition.by_path import Many
from engine.definition.fits import can_hold, show
from engine.definition.node import Node, StepContext, Update
from engine.definition.prompt import render
from engine.definition.state import State, fields_of
from engine.definition.text_origin import TextOrigin
from engine.models.extractive.terms import terms
from engine.models.tokens import estimate

_REASONING = re2.compile(
    r"(?i)\b(?:why|how (?:come|would|could|should|does|do|can)|explain|compare|comparison|contrast|versus|vs|"
    r"differ(?:s|ence|ences|ent)?|analy[sz]e|evaluate|assess|derive|prove|trade-?offs?|pros and cons|"
    r"step[- ]by[- ]step|best way|recommend|should (?:i|we)|implications?|consequences?|strategy|design|"
    r"calculate|compute|convert|how (?:many|much) (?:more|less|fewer)|percent(?:age)?|average|total|sum of)\b"
)
_CONDITION = re2.compile(
    r"(?i)\b(?:unless|except|assuming|provided that|in case|otherwise|only if|if\b.{1,80}\bthen)\b"
)
_PART = re2.compile(r"(?im)\?|^\s*(?:\d{1,2}[.)]|[-*•])\s|\b(?:and also|as well as|furthermore|in addition)\b")
_CODE = re2.compile(r"```|`[^`\n]+`|[{}<>]{1}.{0,40}[;=]|\bdef |\bclass |\bSELECT |[=≤≥≠∑∫√^]")
_LONG, _VERY_LONG = 60, 200  # tokens
_COVERED = 0.5  # the share of a question's terms that the best passage has when it is likely to hold the answer


class Difficulty(Node):
    """Say `easy` or `hard` by how long a text is, what it asks for, and how well passages cover it.

    Each sign has a weight: it asks to reason, compare or calculate (0.5), is long (0.3, very long 0.5), has several
    parts (0.3), has conditions (0.2), has code or formulas (0.3); the passages, where given, do not cover its words
    (0.5). The words are English; length, parts, formulas and coverage tell in other languages too.
    """

    brings: ClassVar[TextOrigin | None] = None

    of: Many[str] = Field(min_length=1)
    """The fields with what is asked."""
    into: str
    """The field for the verdict."""
    passages: str | None = None
    """The field with the passages from which it is to be answered."""
    hard_from: float = Field(default=0.5, gt=0)
    """The weight from which on it is hard."""
    easy: str = "easy"
    """What is written below."""
    hard: str = "hard"
    """What is written from there on."""
    score_into: str | None = None
    """A field for the weight."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The texts and the passages."""
        return tuple(dict.fromkeys([*self.of, *([self.passages] if self.passages else [])]))

    @property
    def writes(self) -> Mapping[str, Any]:
        """The verdict, and the weight where asked for."""
        verdict: Any = Literal[(self.easy, self.hard)]
        return {self.into: verdict, **({self.score_into: float} if self.score_into else {})}

    def faults(self, state: type[State]) -> list[str]:
        """Check that the verdicts differ and that the passages are some."""
        faults = ["easy and hard are the same word"] if self.easy == self.hard else []
        held = fields_of(state).get(self.passages or "")
        if held is not None and not can_hold(held.annotation, list[dict[str, Any]]):
            faults.append(f"passages names {self.passages!r}, which holds {show(held.annotation)} and no passages")
        return faults

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Add up the signs."""
        text = "\n".join(render(inputs[name]) for name in self.of)
        weight = _weight_of(text) + (_uncovered(text, inputs[self.passages] or []) if self.passages else 0.0)
        verdict = self.hard if weight >= self.hard_from else self.easy
        return {self.into: verdict, **({self.score_into: round(weight, 2)} if self.score_into else {})}


def _weight_of(text: str) -> float:
    length = estimate(text)
    return (
        0.5 * bool(_REASONING.search(text))
        + (0.5 if length > _VERY_LONG else 0.3 if length > _LONG else 0.0)
        + 0.3 * (len(cast("list[str]", _PART.findall(text))) > 1)
        + 0.2 * bool(_CONDITION.search(text))
        + 0.3 * bool(_CODE.search(text))
    )


def _uncovered(text: str, passages: Sequence[Mapping[str, Any]]) -> float:
    asked = set(terms(text))
    if not asked:
        return 0.0
    best = max((len(asked & set(terms(str(one.get("text", ""))))) / len(asked) for one in passages), default=0.0)
    return 0.0 if best >= _COVERED else 0.5

"""Injection: finds texts that openly try to give the model other orders."""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Literal

from pydantic import Field

from engine import Action, GuardItem, Guardrail, Stage, Verdict
from guardrails.hidden_text import hidden_texts
from guardrails.injection_rules import RULES
from guardrails.normalise import fold
from guardrails.patterns import PatternSet

_WINDOW, _STEP = 2_000, 1_500  # characters that are weighed together, and how far apart such stretches begin
_MOST_NAMES = 4


def _in_folded_letters(pattern: str) -> str:
    """Write a rule in the letters that folded text has; ASCII is left alone, for it may be syntax."""
    return "".join(letter if letter.isascii() else fold(letter).text for letter in pattern)


_MARKS = PatternSet([_in_folded_letters(rule.pattern) for rule in RULES])

_ANYWHERE = [rule.weight for rule in RULES]
_IN_DOCUMENTS = [rule.weight if rule.in_documents is None else rule.in_documents for rule in RULES]
_DOCUMENTS = {Stage.PASSAGES, Stage.TOOL_OUTPUT}

_BY_STAGE = {
    Stage.PASSAGES: Action.DROP,
    Stage.TOOL_OUTPUT: Action.DROP,
    Stage.MODEL_OUTPUT: Action.FLAG,
    Stage.NODE_OUTPUT: Action.FLAG,
    Stage.RUN_OUTPUT: Action.FLAG,
}


class Injection(Guardrail):
    """Finds marked injections: orders to drop earlier orders, false role tags, requests for the system prompt.

    It reads look-alike letters, invisible characters and what is encoded (base64, hex, URL, HTML, rot13, reversed).
    It does not find what carries no mark: a plain request in a document ("please send the report to ...") reads like
    any other text, and whoever knows the rules can write around them. About a quarter of direct and half of indirect
    attacks in public collections are found. What a tool may do, and with which arguments, must be guarded by itself.
    """

    action: Literal["block", "flag", "drop"] | None = None
    """What is done; by default passages and tool outputs are dropped, outputs are flagged, and all else is blocked."""
    threshold: float = Field(default=1.0, gt=0)
    """How much weight the marks in one stretch of text must reach; a single clear mark weighs 1."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        """Weigh the marks in a text as it stands, and in what is hidden in it."""
        weights = _IN_DOCUMENTS if item.stage in _DOCUMENTS else _ANYWHERE
        for reading, folded in _readings(text):
            weight, marks = _heaviest(folded, weights)
            if weight >= self.threshold:
                hidden = "" if reading == "plain" else f", hidden as {reading},"
                return Verdict(
                    action=Action(self.action) if self.action else _BY_STAGE.get(item.stage, Action.BLOCK),
                    reason=f"the text{hidden} bears marks of an injection: {', '.join(marks[:_MOST_NAMES])}",
                    score=round(min(1.0, 0.5 * weight / self.threshold), 3),
                )
        return Verdict(action=Action.ALLOW)


def _readings(text: str) -> Iterator[tuple[str, str]]:
    yield "plain", fold(text).text
    yield from hidden_texts(text)


def _heaviest(folded: str, weights: Sequence[float]) -> tuple[float, list[str]]:
    """Give the weight and the names of the marks of the stretch that bears most."""
    starts = range(0, max(1, len(folded) - (_WINDOW - _STEP)), _STEP)
    return max((_weigh(folded[at : at + _WINDOW], weights) for at in starts), key=itemgetter(0))


def _weigh(stretch: str, weights: Sequence[float]) -> tuple[float, list[str]]:
    found = sorted(_MARKS.found_in(stretch), key=lambda number: -weights[number])
    return sum(weights[number] for number in found), [RULES[number].name for number in found if weights[number]]

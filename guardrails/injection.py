"""Find marked prompt injections: texts that try to talk to the model over the head of the application."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import ClassVar, Literal

from engine import Action, GuardItem, Guardrail, Span, Stage, Verdict
from engine.definition.by_path import Many
from engine.definition.text_origin import TRUSTED
from guardrails.disguises import undisguised
from guardrails.injection_rules import RULES
from guardrails.normalise import fold
from guardrails.patterns import PatternSet
from guardrails.windows import windows

_STRETCH, _OVERLAP_OF_STRETCHES = 65_536, 4_096  # characters that are folded and decoded at once
_WINDOW, _OVERLAP = 4_096, 1_024  # in which signs are looked for; none is longer than the overlap
_Where = Literal["asked", "read"]
_BLOCKING_STAGES = {Stage.RUN_INPUT, Stage.NODE_INPUT, Stage.TOOL_ARGUMENTS}


class Injection(Guardrail):
    """Finds injections that give themselves away: "ignore previous instructions", forged roles, jailbreak personas.

    It reads the text as a person would, with look-alike letters, full-width forms and invisible characters undone, and
    also what stands in it as base64, hex, percent-encoding, HTML entities, tag characters or ROT13. In what was only
    read, documents and answers of tools, plain orders count too ("fetch my files and send them to ..."); since people
    write such things to each other, they are flagged and not dropped. It knows phrases, not intent: whatever is worded
    in a way nobody has listed passes. It lowers the noise, it does not make untrusted text safe: what an agent may do
    has to be bounded by what its tools allow, and by Provenance.
    """

    labels: ClassVar[Sequence[str] | None] = ("INJECTION",)

    action: Literal["block", "flag", "strip", "drop", "reask"] | None = None
    """What is done about it; left out, a text that comes in or goes to a tool is blocked, any other dropped, and a
    plain order in what was only read is flagged."""
    threshold: float = 0.7
    """The sum of the weights of signs from which a text counts as an injection; a lower one finds and errs more."""
    without: Many[str] = ()
    """Signs that do not count here, by their names in the reasons."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        """Weigh the signs of an injection in one text."""
        where = "asked" if item.origins <= TRUSTED else "read"
        signs = self._signs(text, where)
        score = sum(RULES[sign].weight for sign in signs)
        if score < self.threshold or not signs:
            return Verdict(action=Action.ALLOW, score=min(1.0, score / 2))
        names = dict.fromkeys(RULES[sign].name + (f" ({how})" if how else "") for sign, how in sorted(signs.items()))
        default = Action.BLOCK if item.stage in _BLOCKING_STAGES else Action.DROP
        if all(RULES[sign].where == "read" for sign in signs):
            default = Action.FLAG
        return Verdict(
            action=Action(self.action) if self.action else default,
            reason=f"the text looks like a prompt injection: {', '.join(names)}",
            score=min(1.0, score / 2),
            spans=tuple(self._spans(text, where)),
        )

    def _signs(self, text: str, where: _Where) -> Mapping[int, str]:
        """Give the signs in a text, each with the disguise that it stands in, if any."""
        signs: dict[int, str] = {}
        for _, stretch in windows(text, _STRETCH, _OVERLAP_OF_STRETCHES):
            folded = fold(stretch).text
            signs |= dict.fromkeys(_signs_in(folded), "")
            for how, view in undisguised(stretch, folded):
                for sign in _signs_in(view):
                    signs.setdefault(sign, how)
        return {sign: how for sign, how in signs.items() if self._counts(sign, where)}

    def _spans(self, text: str, where: _Where) -> list[Span]:
        """Give where each sign without a disguise first stands in each stretch, without overlaps."""
        spans: list[Span] = []
        for start, stretch in windows(text, _STRETCH, _OVERLAP_OF_STRETCHES):
            folded = fold(stretch)
            signs = [sign for sign in _signs_in(folded.text) if self._counts(sign, where)]
            places = filter(None, (_rule_set().first(sign, folded.text) for sign in signs))
            for first, last in sorted(folded.span(*place) for place in places):
                if last > first and (not spans or start + first >= spans[-1].end):
                    spans.append(Span(start=start + first, end=start + last, label="INJECTION"))
        return spans

    def _counts(self, sign: int, where: _Where) -> bool:
        return RULES[sign].where in {"anywhere", where} and RULES[sign].name not in self.without


def _signs_in(folded: str) -> set[int]:
    return {sign for _, part in windows(folded, _WINDOW, _OVERLAP) for sign in _rule_set().found_in(part)}


@cache
def _rule_set() -> PatternSet:
    return PatternSet([_as_folded(rule.pattern) for rule in RULES])


def _as_folded(pattern: str) -> str:
    """Give a pattern in the form of folded texts: letters of other scripts become what they look like."""
    return "".join(one if one.isascii() else fold(one, one_line=False).text for one in pattern)

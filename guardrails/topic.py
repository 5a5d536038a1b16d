"""Topic: what may be talked about, and what is refused, by rules that are data."""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, ClassVar, Literal

import re2
from pydantic import Field

from engine import Action, DefinitionError, GuardItem, Guardrail, Verdict
from engine.definition.by_path import Frozen, Many
from guardrails.normalise import fold
from guardrails.patterns import Pattern, PatternSet
from guardrails.topic_rules import MARKED_INTENTS


class TopicRule(Frozen):
    """A topic, and the words and patterns by which a text is known to be about it."""

    name: str
    """What it is called in reasons."""
    terms: Many[str] = ()
    """Words or phrases, whole ones, in whatever case, accents or look-alike letters."""
    patterns: Many[str] = ()
    """Patterns on RE2 over the folded text: small letters without accents, on one line."""
    unless: Many[str] = ()
    """Patterns of what takes it back, wherever they stand in the text."""
    score: float = Field(default=1.0, gt=0, le=1)
    """How sure it is that a text is meant in this way; from `threshold` on it counts."""

    def model_post_init(self, context: Any, /) -> None:
        """Check the patterns."""
        del context
        faults: list[str] = [] if self.terms or self.patterns else ["it has neither terms nor patterns"]
        faults += [f"the term {term!r} is empty" for term in self.terms if not fold(term).text.strip()]
        faults += ["a pattern is empty, which every text fits" for pattern in self.patterns if not pattern]
        for pattern in (*self.patterns, *self.unless):
            try:
                Pattern(pattern)
            except Exception as error:
                faults.append(f"the pattern {pattern!r} is none for RE2: {error}")
        if faults:
            raise DefinitionError(f"TopicRule {self.name!r}", faults)

    @property
    def all_patterns(self) -> list[str]:
        """The patterns, and those of the terms."""
        return [*self.patterns, *(_as_pattern(term) for term in self.terms)]


@cache
def _marked_intents() -> tuple[TopicRule, ...]:
    return tuple(TopicRule(name=one.name, patterns=one.patterns, unless=one.unless) for one in MARKED_INTENTS)


class Topic(Guardrail):
    """Refuses texts about a topic that is denied, or about none that is allowed.

    Without rules of yours it refuses marked harmful intents: requests in English whose own words say that they mean
    violence, self-harm, weapons, drugs, theft or the like ("how do I poison my neighbour?"). They are written so that
    what only sounds like one passes: figures of speech, games and films, history, definitions. On XSTest none of 130
    safe requests is refused, and 59 % of 99 unsafe ones are; the rules were written with those in view, so expect less.
    It knows words, not what they mean: a harm that takes knowledge to see (hatred, the private data of others), a
    paraphrase or another language passes. For more, let a judge decide where the score is grey.
    """

    labels: ClassVar[Sequence[str] | None] = ()

    deny: Many[TopicRule] = Field(default_factory=_marked_intents)
    """What is refused."""
    allow: Many[TopicRule] = ()
    """Where given, a text must be about one of these; a text of fewer letters than `fewest_letters` need not."""
    fewest_letters: int = Field(default=12, ge=0)
    """Letters of a text that can be about something."""
    threshold: float = Field(default=1.0, gt=0, le=1)
    """The sum of the scores from which a topic counts; a lower one is told to a judge or a policy."""
    action: Literal["block", "reask", "require_approval", "flag"] = "block"
    """What is done."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        """Look for topics in one text."""
        del item
        folded = fold(text).text
        denied = _compiled(tuple(self.deny)).found_in(folded)
        score = min(1.0, sum(rule.score for rule in denied))
        names = ", ".join(rule.name for rule in denied)
        if denied and score >= self.threshold:
            return Verdict(action=Action(self.action), reason=f"the text is about {names}", score=score)
        if self.allow and sum(map(str.isalpha, folded)) >= self.fewest_letters:
            allowed = _compiled(tuple(self.allow)).found_in(folded)
            if sum(rule.score for rule in allowed) < self.threshold:
                topics = ", ".join(rule.name for rule in self.allow)
                return Verdict(action=Action(self.action), reason=f"the text is about none of: {topics}", score=1.0)
        return Verdict(action=Action.ALLOW, score=score)


class _Rules:
    """Rules whose patterns are looked for in one pass."""

    def __init__(self, rules: Sequence[TopicRule]) -> None:
        self._rules = rules
        numbered = [(number, one) for number, rule in enumerate(rules) for one in rule.all_patterns]
        self._of = [number for number, _ in numbered]
        self._set = PatternSet([one for _, one in numbered])
        self._unless = [[Pattern(one) for one in rule.unless] for rule in rules]

    def found_in(self, folded: str) -> list[TopicRule]:
        """Give the rules that a folded text falls under, each once."""
        hits = dict.fromkeys(self._of[at] for at in self._set.found_in(folded)) if self._of else {}
        return [self._rules[hit] for hit in hits if not any(one.found_in(folded) for one in self._unless[hit])]


@lru_cache(maxsize=64)
def _compiled(rules: tuple[TopicRule, ...]) -> _Rules:
    return _Rules(rules)


def _as_pattern(term: str) -> str:
    """Give the pattern of a whole word or phrase; scripts without capitals know no bounds of words here."""
    folded = fold(term).text.strip()
    before = r"(?:^|[^\pL\pN])" if _has_bounds(folded[:1]) else ""
    after = r"(?:$|[^\pL\pN])" if _has_bounds(folded[-1:]) else ""
    return f"{before}{re2.escape(folded)}{after}"


def _has_bounds(character: str) -> bool:
    return character.upper() != character.lower() or character.isdigit()

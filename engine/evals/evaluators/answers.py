"""Evaluators of what a run returned: compared with what is expected, or held against a form."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import jsonschema_rs
import re2
from pydantic import Field

from engine.evals.evaluators.evaluator import Evaluator, Score
from engine.evals.trial import Trial
from engine.payloads import canonical

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


class Answer(Evaluator):
    """Looks at a field of the output."""

    of: str
    """The field."""
    expected: str | None = None
    """The name of what it is compared with in the case's `expect`; the field's own name if not given."""

    @property
    def about(self) -> tuple[str, ...]:
        """The field."""
        return (self.of,)

    def wanted(self, trial: Trial) -> Any:
        """What the case expects; None if it says nothing."""
        return trial.expected(self.expected or self.of)


class Compared(Answer):
    """Looks at a field of which the case expects something."""

    def applies(self, trial: Trial) -> bool:
        """Say whether it does."""
        return self.wanted(trial) is not None


class Equals(Compared):
    """Whether the field is what is expected; of texts, by words only, where that is said."""

    by_words: bool = False
    """Whether case, punctuation, articles and spaces do not count."""

    def score(self, trial: Trial) -> bool:
        """Compare."""
        wanted, said = self.wanted(trial), trial.output.get(self.of)
        return words_of(str(said)) == words_of(str(wanted)) if self.by_words else canonical(said) == canonical(wanted)


class WordF1(Compared):
    """How many words the field shares with what is expected, by the rules of SQuAD; the best of several answers."""

    def score(self, trial: Trial) -> float | None:
        """Count the words."""
        wanted = self.wanted(trial)
        answers = cast("list[Any]", wanted) if isinstance(wanted, list) else [wanted]
        said = words_of(str(trial.output.get(self.of, "")))
        return max((_f1(said, words_of(str(answer))) for answer in answers), default=None)


class Near(Compared):
    """Whether the last number in the field is the expected one, within a tolerance."""

    tolerance: float = Field(default=0.0, ge=0)
    """How far it may be off."""
    relative: float = Field(default=1e-9, ge=0)
    """The same, as a part of the expected number."""

    def score(self, trial: Trial) -> Score:
        """Compare."""
        wanted, said = number_in(self.wanted(trial)), number_in(trial.output.get(self.of))
        if wanted is None:
            return Score(None)
        if said is None:
            return Score(0.0, explanation="there is no number in it")
        return Score(float(abs(said - wanted) <= max(self.tolerance, self.relative * abs(wanted))), value=said)


class Contains(Answer):
    """Whether the field contains every expected text, whatever its case, and none of those that may not be there."""

    never: tuple[str, ...] = ()
    """Texts that may not be there."""

    def applies(self, trial: Trial) -> bool:
        """Say whether there is something to look for."""
        return bool(self.never) or self.wanted(trial) is not None

    def score(self, trial: Trial) -> Score:
        """Look for them."""
        wanted, said = self.wanted(trial), str(trial.output.get(self.of, "")).casefold()
        texts = cast("list[Any]", wanted) if isinstance(wanted, list) else [] if wanted is None else [wanted]
        missing = [str(text) for text in texts if str(text).casefold() not in said]
        there = [text for text in self.never if text.casefold() in said]
        why = [f"{text!r} is missing" for text in missing] + [f"{text!r} is there" for text in there]
        return Score(float(not why), explanation="; ".join(why) or None)


class Matches(Answer):
    """Whether the field as a whole matches a pattern (RE2)."""

    pattern: str
    """The pattern."""

    def score(self, trial: Trial) -> bool:
        """Match."""
        return re2.fullmatch(self.pattern, str(trial.output.get(self.of, ""))) is not None


class FitsSchema(Answer):
    """Whether the field fits a JSON Schema."""

    json_schema: dict[str, Any]
    """The schema."""

    def score(self, trial: Trial) -> Score:
        """Check."""
        fault = next(iter(jsonschema_rs.iter_errors(self.json_schema, trial.output.get(self.of))), None)
        return Score(float(fault is None), explanation=None if fault is None else str(fault.message))


class Length(Answer):
    """Whether the field has no more characters than it may."""

    most: int = Field(ge=0)
    """How many it may have."""

    def score(self, trial: Trial) -> Score:
        """Count."""
        many = len(str(trial.output.get(self.of, "")))
        return Score(float(many <= self.most), value=float(many))


def words_of(text: str) -> Sequence[str]:
    """Give the words of a text as SQuAD compares them: lower case, without punctuation and articles."""
    folded = unicodedata.normalize("NFKC", text).lower().translate(_PUNCTUATION)
    return _ARTICLES.sub(" ", folded).split()


def number_in(value: Any) -> float | None:
    """Give a number, or the last one in a text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = _NUMBER.findall(value) if isinstance(value, str) else []
    return float(found[-1].replace(",", "")) if found else None


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * shared / (len(said) + len(wanted))

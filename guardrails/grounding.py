"""Grounding: numbers and names of an answer stand in its sources, and so do most of its words where that is asked."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, cast

import re2

from engine import Action, GuardItem, Guardrail, Verdict
from engine.definition.by_path import Many
from engine.definition.guardrail import texts_in
from guardrails.patterns import encodable

_SENTENCE = re2.compile(r"[^.!?。！？\n]+(?:[.!?。！？]+(?:\S[^.!?。！？\n]*)?)*")  # noqa: RUF001
_FIGURE = re2.compile(r"\d+(?:[.,]\d+)*")
_WORD = re2.compile(r"[\pL\pN]+(?:[.,'’][\pL\pN]+)*")  # noqa: RUF001
_STANDALONE = re2.compile(r"(?:^|[^\pL\pN.,-]|[^\pL\pN]-|\pN-)(\d+(?:[.,]\d+)*)\b")


def _words_of(text: str) -> list[str]:
    return text.split()


_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ORDINALS = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety"
_OTHERS = {"once": 1, "twice": 2, "both": 2, "pair": 2, "couple": 2, "half": 50, "dozen": 12, "single": 1}
_SAID: Mapping[str, int] = {
    **{word: 10 * n for n, word in enumerate(_words_of(_TENS))},
    **{word: n for text in (_UNITS, _ORDINALS) for n, word in enumerate(_words_of(text))},
    **_OTHERS,
}
_COMMON = frozenset(
    _words_of(
        "the a an and or of in on at to for by with from as is are was were be been it its this that these those he "
        "she they his her their who which what when where how not no but also has have had than then so such into "
        "about over more most all any both each other there will would can could may might do does did if we you i our"
    )
)
_SHARED = 4  # first letters that make two words kin: China and Chinese
_FEWEST_WORDS = 4
_MOST_FAULTS = 5


class Grounding(Guardrail):
    """Checks that the numbers and names of an answer occur in its sources, whether or not it cites them.

    These are necessary, not sufficient: an answer that twists what its sources say in their own words passes, as does
    a name that stands there for somebody else. `least_covered` asks for more where answers keep to the words of the
    sources: the share of a sentence's words that must stand in them. Paraphrase falls below it; leave it out for
    summaries.
    """

    of: str = "answer"
    """The field that holds the answer."""
    sources: Many[str] = ("passages",)
    """The fields that it may be taken from; add the question, whose words an answer repeats."""
    least_covered: float = 0.0
    """The share of the words of a sentence that must stand in the sources."""
    action: Literal["reask", "block", "flag"] = "reask"
    """What is done about an answer that is not grounded."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The answer and its sources."""
        return (self.of, *self.sources)

    async def check(self, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Check the answer against its sources."""
        values = {**item.state, **(cast("Mapping[str, Any]", item.value) if isinstance(item.value, Mapping) else {})}
        answer = encodable(str(values.get(self.of) or ""))
        known = Known(encodable(" ".join(text for name in self.sources for _, text in texts_in(values.get(name)))))
        faults = list(dict.fromkeys(self._faults(answer, known)))
        if not faults:
            return []
        more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        return [(self.of, Verdict(action=Action(self.action), reason="; ".join(faults[:_MOST_FAULTS]) + more))]

    def _faults(self, answer: str, known: "Known") -> Iterator[str]:
        for sentence in cast("list[str]", _SENTENCE.findall(answer)):
            words = cast("list[str]", _WORD.findall(sentence))
            yield from (f"the number {one} is not in the sources" for one in _numbers(sentence, words) - known.figures)
            yield from (f"the name {name} is not in the sources" for name in _names(words) if not known.has_name(name))
            content = [plain for word in words for plain in _plain(word) if plain not in _COMMON and len(plain) > 2]
            if len(content) >= _FEWEST_WORDS:
                share = sum(map(known.has_word, content)) / len(content)
                if share < self.least_covered:
                    yield f"only {share:.0%} of the words of “{sentence.strip()[:60]}” are in the sources"


@dataclass
class Known:
    """What the sources say, word by word."""

    text: str

    @cached_property
    def _words(self) -> list[str]:
        return _plain(self.text)

    @cached_property
    def _stems(self) -> set[str]:
        return {_stem(word) for word in self._words}

    @cached_property
    def _heads(self) -> set[str]:
        return {word[:_SHARED] for word in self._words if len(word) >= _SHARED}

    @cached_property
    def figures(self) -> set[str]:
        """The numbers, in digits or in words."""
        digits = {_figure(text) for text in cast("list[str]", _FIGURE.findall(self.text))}
        return {*digits, *map(str, _said(self._words)), *_spoken(self._words)}

    @cached_property
    def _initials(self) -> str:
        return "".join(word[0] for word in self._words)

    def has_name(self, name: str) -> bool:
        """Say whether a name, a word that begins as it does, or what it is short for stands there."""
        if sum(map(str.isupper, name)) >= 2 and name.rstrip("s").casefold() in self._initials:
            return True
        return all(
            _stem(part) in self._stems or (len(part) >= _SHARED and part[:_SHARED] in self._heads)
            for part in _plain(name)
            if len(part) > 1
        )

    def has_word(self, word: str) -> bool:
        """Say whether a word stands there in one of its forms."""
        return _stem(word) in self._stems


def _numbers(sentence: str, words: list[str]) -> set[str]:
    """Give the numbers of a sentence, said in digits or in words; one that is part of a name is none."""
    digits = {_figure(text) for text in cast("list[str]", _STANDALONE.findall(sentence))}
    return digits | {str(number) for number in _said([word.casefold() for word in words], whole=True) if number > 2}


def _names(words: list[str]) -> Iterable[str]:
    """Give the words that are written as names inside a sentence; its first word may be any."""
    return (word for word in words[1:] if word[:1].isupper() and len(word) > 1 and not any(map(str.isdigit, word)))


def _said(words: list[str], *, whole: bool = False) -> Iterator[int]:
    """Give the numbers that words say: twenty five is 25, and 20 and 5 too unless only whole ones are wanted."""
    before: int | None = None
    for word in [*words, ""]:
        number = _SAID.get(word)
        if before is not None and number is not None and before >= 20 and number < 10:
            yield before + number
            before = None
            continue
        if before is not None:
            yield before
        before = number
    if not whole:
        yield from (_SAID[word] for word in words if word in _SAID)


def _spoken(words: list[str]) -> Iterator[str]:
    """Give amounts as people say them: twelve fifty is 12.5."""
    for first, second in pairwise(words):
        if first in _SAID and _SAID.get(second, 0) >= 10:
            yield f"{_SAID[first]}.{_SAID[second]:02}".rstrip("0").rstrip(".")


def _figure(text: str) -> str:
    """Fold thousands separators and trailing zeros: 1,000 is 1000, and 2.50 is 2.5."""
    whole, point, part = text.rpartition(".")
    if not point or "," in part or (len(part) == 3 and not whole.startswith("0")):
        return text.replace(",", "").replace(".", "")
    return f"{whole.replace(',', '').replace('.', '')}.{part.rstrip('0')}".rstrip(".")


def _plain(text: str) -> list[str]:
    folded = text.casefold()
    if not folded.isascii():
        folded = "".join(one for one in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(one))
    return "".join(one if one.isalnum() else " " for one in folded).split()


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "ly", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word

"""Grounding: numbers and names of an answer stand in its sources, and no clause denies or turns round what they say."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import Any, ClassVar, Literal, cast

import re2

from engine import Action, GuardItem, Guardrail, Verdict
from engine.definition.by_path import Many
from engine.definition.guardrail import texts_in
from guardrails.contradictions import Sentences
from guardrails.patterns import encodable
from guardrails.words import COMMON, SENTENCE, plain_words, stem

_FIGURE = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_DIGIT = re.compile(r"[0-9]")
_WORD = re.compile(r"[^\W_]+(?:[.,'’][^\W_]+)*")  # noqa: RUF001
_STANDALONE = re2.compile(r"(?:^|[^\pL\pN.,-]|[^\pL\pN]-|\pN[-–])(\d+(?:[.,]\d+)*)(?:\b|[kmb]n?\b)")  # noqa: RUF001
_CAPITALS = re2.compile(r"\p{Lu}{3,}")
_SPAN = re2.compile(r"\b((?:1[5-9]|20)\d\d)[-–/](\d\d)\b")  # noqa: RUF001


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
_SHARED = 4  # first letters that make two words kin: China and Chinese
_FEWEST_WORDS = 4
_MOST_FAULTS = 5


class Grounding(Guardrail):
    """Checks that the numbers and names of an answer occur in its sources, whether or not it cites them.

    In English, a clause that denies what a sentence of the sources says in much the same words, or turns a word of it
    round, is found too. These are necessary, not sufficient: an answer that twists its sources in other words passes,
    as does a name that stands there for somebody else. `least_covered` asks for more where answers keep to the words of
    the sources: the share of a sentence's words that must stand in them. Paraphrase falls below it; leave it out for
    summaries.
    """

    labels: ClassVar[Sequence[str] | None] = ()

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
        known = Known(encodable("\n".join(text for name in self.sources for _, text in texts_in(values.get(name)))))
        faults = list(dict.fromkeys(self._faults(answer, known)))
        if not faults:
            return []
        more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        return [(self.of, Verdict(action=Action(self.action), reason="; ".join(faults[:_MOST_FAULTS]) + more))]

    def _faults(self, answer: str, known: "Known") -> Iterator[str]:
        yield from known.sentences.against(answer)
        for sentence in cast("list[str]", SENTENCE.findall(answer)):
            words = cast("list[str]", _WORD.findall(sentence))
            yield from (f"the number {one} is not in the sources" for one in _numbers(sentence, words) - known.figures)
            yield from (f"the name {name} is not in the sources" for name in _names(words) if not known.has_name(name))
            content = [plain for word in words for plain in plain_words(word) if plain not in COMMON and len(plain) > 2]
            if len(content) >= _FEWEST_WORDS:
                share = sum(map(known.has_word, content)) / len(content)
                if share < self.least_covered:
                    yield f"only {share:.0%} of the words of “{sentence.strip()[:60]}” are in the sources"


@dataclass
class Known:
    """What the sources say, word by word."""

    text: str

    @cached_property
    def sentences(self) -> Sentences:
        """What they say, sentence by sentence."""
        return Sentences(self.text)

    @cached_property
    def _words(self) -> list[str]:
        return plain_words(self.text)

    @cached_property
    def _stems(self) -> set[str]:
        return {stem(word) for word in self._words}

    @cached_property
    def _heads(self) -> set[str]:
        return {word[:_SHARED] for word in self._words if len(word) >= _SHARED}

    @cached_property
    def figures(self) -> set[str]:
        """The numbers, in digits or in words."""
        digits = {_figure(text) for text in cast("list[str]", _FIGURE.findall(self.text))}
        return {*digits, *_ends_of_spans(self.text), *map(str, _said(self._words)), *_spoken(self._words)}

    @cached_property
    def _capitals(self) -> set[str]:
        return set(cast("list[str]", _CAPITALS.findall(self.text)))

    @cached_property
    def _initials(self) -> str:
        return "".join(word[0] for word in self._words)

    def has_name(self, name: str) -> bool:
        """Say whether a name, a word that begins as it does, or what it is short for stands there."""
        short = name.rstrip("s")
        if sum(map(str.isupper, name)) >= 2 and (short.casefold() in self._initials or short in self._capitals):
            return True
        return all(
            stem(part) in self._stems or (len(part) >= _SHARED and part[:_SHARED] in self._heads)
            for part in plain_words(name)
            if len(part) > 1
        )

    def has_word(self, word: str) -> bool:
        """Say whether a word stands there in one of its forms."""
        return stem(word) in self._stems


def _numbers(sentence: str, words: list[str]) -> set[str]:
    """Give the numbers of a sentence, said in digits or in words; one that is part of a name is none."""
    digits: set[str] = set()
    if _DIGIT.search(sentence):
        digits = {_figure(text) for text in cast("list[str]", _STANDALONE.findall(_SPAN.sub(r"\1", sentence)))}
        digits |= _ends_of_spans(sentence)
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
    """Give amounts as people say them: twelve fifty and twelve euros and fifty are 12.5."""
    fours = zip(words, words[1:], words[2:], words[3:], strict=False)
    apart = ((one, other) for one, _, link, other in fours if link == "and")
    for first, second in chain(pairwise(words), apart):
        if first in _SAID and _SAID.get(second, 0) >= 10:
            yield f"{_SAID[first]}.{_SAID[second]:02}".rstrip("0").rstrip(".")


def _ends_of_spans(text: str) -> set[str]:
    """Give the years in which spans end: 2018-19 ends in 2019."""
    return {first[:2] + last for first, last in cast("list[tuple[str, str]]", _SPAN.findall(text))}


def _figure(text: str) -> str:
    """Fold thousands separators and trailing zeros: 1,000 is 1000, and 2.50 is 2.5."""
    whole, point, part = text.rpartition(".")
    if not point or "," in part or (len(part) == 3 and not whole.startswith("0")):
        return text.replace(",", "").replace(".", "")
    return f"{whole.replace(',', '').replace('.', '')}.{part.rstrip('0')}".rstrip(".")

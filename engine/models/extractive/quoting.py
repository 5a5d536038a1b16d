"""Answer a question with one or two cited sentences of the passages, or say that they do not answer it."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.models.extractive.passages import Passage
from engine.models.extractive.ranking import Ranked, Sentence, rank, sentences_of
from engine.models.extractive.terms import is_unspaced

DO_NOT_KNOW = "I do not know: none of the passages answers this."

_LEAST_COVERED = 0.4  # the share of the question's information that an answer has to be about
_LEAST_COVERED_UNSPACED = 0.3  # pairs of characters are often no words, so fewer of them are met
_WORTH_ADDING = 0.5  # a second sentence scores at least this share of the first
_NEXT_TO_IT = 1.4  # a sentence that stands beside the first is likelier to go on with the same
_MOST_WORDS = 75
_LOOKED_AT = 12
_MOST_ITEMS = 5
_CLOSING = "\"'\u201d\u2019\u00bb)"
_ENDS = (".", "!", "?", "\u2026", "\u3002", "\uff01", "\uff1f")
_LEADS_UP = (":", "\uff1a")


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a passage.

    Attributes:
        text: the words, as they stand in the passage.
        passage: the number of the passage.
    """

    text: str
    passage: int

    @property
    def cited(self) -> str:
        """The words with the number of their passage behind them."""
        stop = "" if self.text.rstrip(_CLOSING).endswith(_ENDS) else "."
        return f"{self.text} [{self.passage}]{stop}"


def quotes(question: str, passages: Sequence[Passage]) -> list[Quote]:
    """Choose the one or two sentences that answer the question, in reading order; none if nothing matches well."""
    sentences = sentences_of(passages)
    ranked = rank(question, sentences)
    least = _LEAST_COVERED_UNSPACED if is_unspaced(question) else _LEAST_COVERED
    if not ranked or ranked[0].coverage < least:
        return []
    chosen = [ranked[0].sentence, *_second(ranked)]
    chosen.sort(key=lambda sentence: sentence.place)
    return [Quote(_with_items(sentence, sentences, chosen), sentence.passage) for sentence in chosen]


def _second(ranked: Sequence[Ranked]) -> list[Sentence]:
    """Give one more sentence, if it is nearly as good and the answer stays short."""
    best = ranked[0]
    room = _MOST_WORDS - _length(best.sentence.text)
    scored: list[tuple[float, Sentence]] = []
    for other in ranked[1:_LOOKED_AT]:
        score = other.score * (_NEXT_TO_IT if _adjacent(best.sentence, other.sentence) else 1)
        says_more = other.meets and other.sentence.text != best.sentence.text
        if says_more and score >= _WORTH_ADDING * best.score and _length(other.sentence.text) <= room:
            scored.append((score, other.sentence))
    return [max(scored, key=lambda one: (one[0], -one[1].place))[1]] if scored else []


def _adjacent(first: Sentence, second: Sentence) -> bool:
    return first.passage == second.passage and abs(first.place - second.place) == 1


def _length(text: str) -> int:
    """Count words; two characters of a script without spaces are about one."""
    wide = sum(1 for character in text if character >= "\u2e80")
    return len(text.split()) + wide // 2


def _with_items(sentence: Sentence, sentences: Sequence[Sentence], chosen: Sequence[Sentence]) -> str:
    """Add the code or the list that a sentence leads up to."""
    if sentence.shows or not sentence.text.endswith(_LEADS_UP):
        return f"{sentence.text} {sentence.shows}".rstrip()
    items: list[str] = []
    for following in sentences[sentence.place + 1 : sentence.place + 1 + _MOST_ITEMS]:
        beyond = _length(" ".join([*items, following.text])) > _MOST_WORDS
        if following.passage != sentence.passage or following.kind == "prose" or following in chosen or beyond:
            break
        items.append(following.text)
    return " ".join([sentence.text, "; ".join(items)]) if items else sentence.text

"""Score sentences by how well they answer a question: rare words of the question that stand in or near them."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.models.extractive.hints import answered_by, asks_for_definition, defines
from engine.models.extractive.passages import Passage
from engine.models.extractive.sentences import Kind, split, units
from engine.models.extractive.terms import alike, terms

_FITS_THE_KIND = 1.2  # a date where a date is asked for
_BEGINS_WITH_IT, _DEFINES_IT = 1.2, 1.4  # "A run that ...", "A run is ..." where it is asked what a run is
_ALIKE, _NEIGHBOUR, _ABOVE, _ELSEWHERE = 0.8, 0.4, 0.35, 0.15  # what a term of the question counts, by where it stands
_MOST_TERMS = 64  # what follows in a long question adds time and hardly any meaning
_IN_A_ROW = 0.5  # two terms that stand together in the question and in the sentence
_KIND_WEIGHT: Mapping[Kind, float] = {"prose": 1.0, "item": 1.0, "row": 0.9, "code": 0.5}
_LONG = 45  # terms; a longer sentence says too much to be an answer


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that may be quoted.

    Attributes:
        text: as it stands in the passage, without Markdown marks.
        shows: the code that it leads up to; not searched.
        passage: the number of its passage.
        place: its place in the reading order of all passages.
        terms: its informative stems, in order.
        around: stems that stand in the sentence before and after it.
        above: stems of its heading and of the passage's title.
        kind: what it was cut from.
    """

    text: str
    shows: str
    passage: int
    place: int
    terms: tuple[str, ...]
    around: frozenset[str]
    above: frozenset[str]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Ranked:
    """A sentence with how well it answers.

    Attributes:
        sentence: the sentence.
        score: larger is better, comparable for one question only.
        coverage: the share, from 0 to 1, of the question's information that stands in it and right around it.
        meets: whether a term of the question stands in the sentence itself.
    """

    sentence: Sentence
    score: float
    coverage: float
    meets: bool


def sentences_of(passages: Iterable[Passage]) -> list[Sentence]:
    """Cut passages into sentences, in reading order."""
    found: list[Sentence] = []
    for passage in passages:
        title = terms(passage.title)
        cut = [(unit, text) for unit in units(passage.text) for text in _parts(unit.kind, unit.text)]
        stems = [tuple(terms(text)) for _, text in cut]
        for index, (unit, text) in enumerate(cut):
            before = stems[index - 1] if index else ()
            after = stems[index + 1] if index + 1 < len(stems) else ()
            found.append(
                Sentence(
                    text=text,
                    shows=unit.shows if unit.text.endswith(text) else "",
                    passage=passage.number,
                    place=len(found),
                    terms=stems[index],
                    around=frozenset(before + after),
                    above=frozenset(title + terms(unit.heading)),
                    kind=unit.kind,
                )
            )
    return found


def _parts(kind: Kind, text: str) -> Iterable[str]:
    return [text] if kind in {"code", "row"} else split(text)


def rank(question: str, sentences: Sequence[Sentence]) -> list[Ranked]:
    """Score sentences against a question, best first; equal scores stay in reading order."""
    asked = terms(question)[:_MOST_TERMS]
    weights = _weights(asked, sentences)
    whole = _by_passage(sentences)
    hints = answered_by(question)
    definition = asks_for_definition(question)
    pairs = set(pairwise(asked))
    ranked: list[Ranked] = []
    families = _families(weights, sentences)
    for sentence in sentences if weights else ():
        shares = _shares(sentence, families, whole[sentence.passage])
        score = sum(share * weights[term] for term, share in shares.items()) + _in_a_row(sentence, weights, pairs)
        score *= _FITS_THE_KIND ** sum(1 for answered in hints if answered.search(sentence.text))
        if definition and sentence.terms and sentence.terms[0] in weights:
            score *= _DEFINES_IT if defines(sentence.text) else _BEGINS_WITH_IT
        score /= 1 + max(0, len(sentence.terms) - _LONG) / _LONG
        by_kind = _KIND_WEIGHT[sentence.kind]
        ranked.append(
            Ranked(sentence, score * by_kind, _coverage(shares, weights) * by_kind, max(shares.values()) >= _ALIKE)
        )
    return sorted(ranked, key=lambda one: (-one.score, one.sentence.place))


def _weights(asked: Sequence[str], sentences: Sequence[Sentence]) -> dict[str, float]:
    """Weigh each term of the question by how rare it is among the sentences."""
    having: Counter[str] = Counter()
    for sentence in sentences:
        having.update(set(sentence.terms))
    size = len(sentences)
    # What stands nowhere weighs like what stands once: in few sentences, rarity says little.
    return {term: math.log(1 + (size + 1) / (max(having[term], 1) + 0.5)) for term in asked} if size else {}


def _families(asked: Iterable[str], sentences: Sequence[Sentence]) -> dict[str, frozenset[str]]:
    """Give for each term of the question the stems of the passages that are of its family."""
    known = {stem for sentence in sentences for stem in sentence.terms}
    return {term: frozenset(stem for stem in known if alike(term, stem)) for term in asked}


def _by_passage(sentences: Sequence[Sentence]) -> dict[int, frozenset[str]]:
    whole: dict[int, set[str]] = {}
    for sentence in sentences:
        whole.setdefault(sentence.passage, set()).update(sentence.terms, sentence.above)
    return {number: frozenset(found) for number, found in whole.items()}


def _coverage(shares: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Give the share of the question's information that stands in a sentence, beside it or above it."""
    covered = sum((1.0 if share >= _ABOVE else share) * weights[term] for term, share in shares.items())
    return covered / sum(weights.values())


def _in_a_row(sentence: Sentence, weights: Mapping[str, float], pairs: set[tuple[str, str]]) -> float:
    together = (pair for pair in pairwise(sentence.terms) if pair in pairs)
    return _IN_A_ROW * sum((weights[first] + weights[second]) / 2 for first, second in together)


def _shares(sentence: Sentence, families: Mapping[str, frozenset[str]], passage: frozenset[str]) -> dict[str, float]:
    """Say for each term of the question how near it stands: in the sentence, beside it, above it, or elsewhere."""
    own = frozenset(sentence.terms)
    shares: dict[str, float] = {}
    for term, family in families.items():
        if term in own:
            shares[term] = 1.0
        elif family & own:
            shares[term] = _ALIKE
        elif term in sentence.around:
            shares[term] = _NEIGHBOUR
        elif term in sentence.above:
            shares[term] = _ABOVE
        else:
            shares[term] = _ELSEWHERE if term in passage else 0.0
    return shares

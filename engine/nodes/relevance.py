"""Which passages of many a model hears: near-duplicates once, and of the rest those that say most about the query."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from engine.definition.context_policy import Passages
from engine.definition.prompt import numbered
from engine.models.extractive.terms import terms
from engine.models.tokens import estimate

_WORD = re.compile(r"\w+")
_IN_A_ROW = 3  # words that make a sequence
_SATURATION, _LENGTH = 1.2, 0.75  # BM25's k1 and b, at the values that everybody uses


def shown_passages(
    passages: Sequence[Mapping[str, Any]], query: str | None, policy: Passages
) -> tuple[str, dict[str, Any]]:
    """Give the text for the prompt, each passage under the number that it has in the field, and what was left out.

    Args:
        passages: as they stand in the field, best first; JSON.
        query: its words say which passages matter most.
        policy: the limits.
    """
    first = range(len(passages)) if policy.duplicates is None else _distinct(passages, policy.duplicates)
    order = list(first) if query is None else _by_relevance(passages, first, query)
    kept = _that_fit(passages, order, policy.max_tokens)
    said = {
        "near_duplicates": [_id(passages, number) for number in range(len(passages)) if number not in set(first)],
        "passages": [_id(passages, number) for number in first if number not in kept],
    }
    text = numbered(passages, kept) if kept else ""
    return text, {name: ids for name, ids in said.items() if ids}


def _that_fit(passages: Sequence[Mapping[str, Any]], order: Sequence[int], max_tokens: int | None) -> set[int]:
    """Take passages in the order of their worth; one that is too long makes room for a shorter one behind it."""
    kept: set[int] = set()
    for number in order:
        more = kept | {number}
        if max_tokens is None or estimate(numbered(passages, more)) <= max_tokens:
            kept = more
    return kept


def _distinct(passages: Sequence[Mapping[str, Any]], threshold: float) -> list[int]:
    """Give the passages that are not nearly the same as one before them, by the Jaccard index of word sequences."""
    kept: list[int] = []
    sequences = [_sequences(str(passage.get("text", ""))) for passage in passages]
    for number, own in enumerate(sequences):
        if not any(_jaccard(own, sequences[other]) >= threshold for other in kept):
            kept.append(number)
    return kept


def _sequences(text: str) -> frozenset[tuple[str, ...]]:
    words: list[str] = _WORD.findall(text.lower())
    return frozenset(tuple(words[at : at + _IN_A_ROW]) for at in range(max(1, len(words) - _IN_A_ROW + 1)))


def _jaccard(one: frozenset[Any], other: frozenset[Any]) -> float:
    return len(one & other) / len(one | other)


def _by_relevance(passages: Sequence[Mapping[str, Any]], numbers: Sequence[int], query: str) -> list[int]:
    """Order passages by BM25 over stems, titles included; equal ones stay as they stand."""
    asked = set(terms(query))
    counts = {n: Counter(terms(f"{passages[n].get('title') or ''} {passages[n].get('text', '')}")) for n in numbers}
    having = Counter(term for count in counts.values() for term in asked & count.keys())
    mean = sum(count.total() for count in counts.values()) / max(1, len(counts)) or 1.0

    def score(number: int) -> float:
        count = counts[number]
        length = _SATURATION * (1 - _LENGTH + _LENGTH * count.total() / mean)
        return sum(
            math.log(1 + (len(counts) - having[term] + 0.5) / (having[term] + 0.5))
            * (count[term] * (_SATURATION + 1) / (count[term] + length))
            for term in sorted(asked & count.keys())
        )

    return sorted(numbers, key=lambda number: -score(number))


def _id(passages: Sequence[Mapping[str, Any]], number: int) -> Any:
    return passages[number].get("id", number + 1)


def with_shown_passages(
    inputs: Mapping[str, Any], policy: Passages | None
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Give what a prompt is filled with under a policy for its passages, and what was left out of it."""
    found = None if policy is None else inputs[policy.of]
    if policy is None or not found:
        return inputs, {}
    query = None if policy.query is None else str(inputs[policy.query])
    text, left_out = shown_passages(found, query, policy)
    return {**inputs, policy.of: text}, left_out

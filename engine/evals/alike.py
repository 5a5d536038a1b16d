"""Near-duplicates: inputs that say the same in nearly the same words."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from engine.payloads import canonical

_WORD = re.compile(r"\w+")


class Alike:
    """Finds the case whose input is nearly the same as another's.

    Texts are compared by their pairs of neighbouring words (Jaccard); those whose numbers differ are never alike. Only
    cases that share one of their rarest pairs are compared, which loses none that are alike enough.

    Args:
        at_least: how alike counts as the same, from 0 to 1; at 1, only the same words.
    """

    def __init__(self, at_least: float) -> None:
        self._at_least = at_least
        self._pairs: list[frozenset[tuple[str, str]]] = []
        self._cases: list[tuple[str, Any]] = []
        self._by_pair: dict[tuple[str, str], list[int]] = defaultdict(list)

    def find(self, value: Mapping[str, Any], expect: Any) -> str | None:
        """Give the id of a case that is nearly the same and expects the same, if there is one."""
        pairs, numbers = _pairs_in(value), _numbers_in(value)
        candidates = {at for pair in self._rarest(pairs) for at in self._by_pair.get(pair, ())}
        for at in sorted(candidates):
            case_id, said = self._cases[at]
            shared = len(pairs & self._pairs[at])
            is_alike = shared >= self._at_least * (len(pairs) + len(self._pairs[at]) - shared)
            if is_alike and said == (numbers, canonical(expect)):
                return case_id
        return None

    def add(self, case_id: str, value: Mapping[str, Any], expect: Any) -> None:
        """Take a case in."""
        pairs = _pairs_in(value)
        for pair in self._rarest(pairs):
            self._by_pair[pair].append(len(self._cases))
        self._pairs.append(pairs)
        self._cases.append((case_id, (_numbers_in(value), canonical(expect))))

    def _rarest(self, pairs: frozenset[tuple[str, str]]) -> list[tuple[str, str]]:
        """Give so many of the rarest pairs that two texts that are alike enough share one; long words are rare."""
        needed = len(pairs) - math.ceil(self._at_least * len(pairs)) + 1
        return sorted(pairs, key=lambda pair: (-len(pair[0]) - len(pair[1]), pair))[:needed]


def _words_in(value: Mapping[str, Any]) -> list[str]:
    return _WORD.findall(canonical(dict(value)).casefold())


def _pairs_in(value: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset(pairwise(["", *_words_in(value), ""]))


def _numbers_in(value: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(word for word in _words_in(value) if any(map(str.isdigit, word)))

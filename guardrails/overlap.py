"""Which words of some texts another text repeats in a row."""

from collections.abc import Sequence
from dataclasses import dataclass

from guardrails.normalise import fold
from guardrails.patterns import Pattern

_WORD = Pattern(r"[\pL\pN]+")
_TOGETHER = 6  # words: fewer stand together in texts that know nothing of each other
_FEWEST = 12  # words of a text whose share counts


@dataclass(frozen=True, slots=True)
class Run:
    """Words in a row that a text has in common with one of the others.

    Attributes:
        words: how many.
        share: of how much of that other text they are.
        start: where they begin in the folded text that was looked at, and `end` where they end.
    """

    words: int
    share: float
    start: int
    end: int


class Passages:
    """Texts, each in one or more parts, by every few words in a row."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self._after: dict[tuple[str, ...], int] = {}
        for parts in texts:
            parted = [_words(fold(part).text) for part in parts]
            size = sum(map(len, parted))
            for words in parted:
                for at in range(len(words) - _TOGETHER + 1):
                    key = tuple(words[at : at + _TOGETHER])
                    self._after[key] = min(size, self._after.get(key, size))

    def longest_in(self, folded: str) -> Run | None:
        """Give the longest run of words of a folded text that stand in the texts; None where there is none."""
        if not self._after:
            return None
        places = list(_WORD.spans(folded))
        words = [folded[start:end] for start, end in places]
        best: Run | None = None
        began: int | None = None
        for at in range(len(words) - _TOGETHER + 2):
            key = tuple(words[at : at + _TOGETHER])
            if key in self._after:
                began = at if began is None else began
                count = at + _TOGETHER - began
                if best is None or count > best.words:
                    size = self._after[key]
                    share = count / size if size >= _FEWEST else 0.0
                    best = Run(count, share, places[began][0], places[at + _TOGETHER - 1][1])
            else:
                began = None
        return best


def _words(folded: str) -> list[str]:
    return [folded[start:end] for start, end in _WORD.spans(folded)]

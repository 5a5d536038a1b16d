"""Patterns that take linear time on any text: the one door to RE2 in this package."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import re2

_re2 = cast("Any", re2)
_MEMORY = 16 * 1024 * 1024  # a bound for the automaton, which begins anew where it is reached


def _options() -> Any:
    options = _re2.Options()
    options.never_capture = True  # without groups RE2 needs no backtracking state
    options.max_mem = _MEMORY
    options.log_errors = False
    return options


def encodable(text: str) -> str:
    """Give a text that RE2 can read: each lone surrogate becomes a question mark, so every place stays where it is."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class Pattern:
    """A pattern that is searched for in folded text; it may not look around or refer back."""

    def __init__(self, pattern: str) -> None:
        self._compiled = _re2.compile(pattern, _options())

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Give where it occurs, from left to right, without overlaps."""
        ascii_or_text = text.encode() if text.isascii() else text  # places in bytes need not be counted
        return (cast("tuple[int, int]", found.span()) for found in self._compiled.finditer(ascii_or_text))

    def found_in(self, text: str) -> bool:
        """Say whether it occurs."""
        return self._compiled.search(text.encode("utf-8", "replace")) is not None

    def is_all_of(self, text: str) -> bool:
        """Say whether the whole text is one occurrence."""
        return self._compiled.fullmatch(text) is not None


class PatternSet:
    """Many patterns, of which few occur in a text.

    One pass finds the words that the patterns cannot do without, and only those that have all of theirs are searched
    for: RE2's own filter. Patterns with gaps in one automaton would multiply its states.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._filter = _re2.Filter()
        for pattern in patterns:
            self._filter.Add(pattern, _options())
        self._filter.Compile()

    def found_in(self, text: str) -> list[int]:
        """Give the numbers of those that occur, in their order."""
        return sorted(cast("list[int]", self._filter.Match(text.encode("utf-8", "replace")) or []))

    def first(self, number: int, text: str) -> tuple[int, int] | None:
        """Give where one of them first occurs."""
        found = self._filter.re(number).search(text)
        return None if found is None else cast("tuple[int, int]", found.span())

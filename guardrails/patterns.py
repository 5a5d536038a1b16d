"""Patterns that take linear time on any text: the one door to RE2 in this package."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import re2

_re2 = cast("Any", re2)
_MEMORY = 256 * 1024 * 1024  # a bound for the automaton, not what it takes at rest
_MEMORY_OF_A_PASS = 32 * 1024 * 1024  # where it is reached, the automaton begins anew


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
        return (cast("tuple[int, int]", found.span()) for found in self._compiled.finditer(text))

    def found_in(self, text: str) -> bool:
        """Say whether it occurs."""
        return self._compiled.search(text) is not None

    def is_all_of(self, text: str) -> bool:
        """Say whether the whole text is one occurrence."""
        return self._compiled.fullmatch(text) is not None


class PatternSet:
    """Many patterns that are searched for in few passes.

    Patterns with gaps multiply the states of an automaton that holds several, so a pass takes four: with all in one,
    texts took fifteen times as long. Plain words can be looked for all at once.
    """

    def __init__(self, patterns: Sequence[str], at_once: int = 4) -> None:
        self._at_once = at_once
        self._passes = [_set_of(patterns[at : at + at_once]) for at in range(0, len(patterns), at_once)]

    def found_in(self, text: str) -> list[int]:
        """Give the numbers of those that occur, in their order."""
        found: list[int] = []
        for number, one in enumerate(self._passes):
            found += [number * self._at_once + at for at in cast("list[int]", one.Match(text) or [])]
        return sorted(found)


def _set_of(patterns: Sequence[str]) -> Any:
    options = _options()
    options.max_mem = _MEMORY_OF_A_PASS
    automaton = _re2.Set.SearchSet(options)
    for pattern in patterns:
        automaton.Add(pattern)
    automaton.Compile()
    return automaton

"""Read a long text in windows that overlap, so that memory and automata stay small however long it is."""

import re
from collections.abc import Iterator

_LAST_OF_A_WORD = re.compile(r"\S\s")
_FIRST_OF_A_WORD = re.compile(r"\s\S")
_REACH = 64  # characters in which a word should begin or end


def windows(text: str, size: int, overlap: int) -> Iterator[tuple[int, str]]:
    """Give stretches of a text with where each begins; one of up to `size` characters is given as it is.

    What is no longer than `overlap` stands whole in one of them. A cut keeps one letter of the word beyond it, so that
    what is looked for at the beginning or the end of a text is found there alone.

    Args:
        text: any text.
        size: characters of a window, about.
        overlap: characters that the next one has of it, about; clearly fewer than `size`.
    """
    start, end = 0, size
    while end < len(text):
        cut = _FIRST_OF_A_WORD.search(text, end, end + _REACH)
        end = cut.end() if cut else end
        yield start, text[start:end]
        begin = _LAST_OF_A_WORD.search(text, end - overlap - _REACH, end - overlap)
        start = begin.start() if begin else end - overlap
        end = start + size
    yield start, text[start:]

"""Cut a text into pieces of about a thousand characters, on the borders its author drew."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from tools.documents.document import Line, Piece

MOST = 1200
"""Characters of a piece at the most, but for a heading or a short rest that joins it."""

FEWEST = 200
"""A shorter rest of a section joins the piece before it."""

_SENTENCE_ENDS = (". ", "! ", "? ", "。", "\uff01", "\uff1f", "; ")  # the two escapes: full-width ! and ?


@dataclass(frozen=True, slots=True)
class _Section:
    headings: tuple[str, ...]
    lines: list[Line]


def cut(lines: Sequence[Line]) -> list[Piece]:
    """Cut lines into pieces that never span two sections; every line that says something is in exactly one.

    Paragraphs and code blocks stay whole when they fit into a piece, else lines, else sentences, else words do.
    """
    return [_piece(section, part) for section in _sections(lines) for part in _parts(section.lines)]


def _sections(lines: Sequence[Line]) -> Iterator[_Section]:
    """Begin a section at each heading; headings with nothing between them begin one section together."""
    path: list[tuple[int, str]] = []
    held: list[Line] = []
    has_body = False
    for line in lines:
        if line.role == "heading":
            if has_body:
                rules = [held.pop()] if held[-1].role == "rule" else []  # an overline belongs to what it stands over
                yield _Section(tuple(heading for _, heading in path), held)
                held, has_body = rules, False
            path = [(level, heading) for level, heading in path if level < line.level]
            path.append((line.level, line.heading))
        has_body = has_body or _is_body(line)
        held.append(line)
    if any(line.text.strip() for line in held):
        yield _Section(tuple(heading for _, heading in path), held)


def _parts(lines: list[Line]) -> list[list[Line]]:
    """Pack units into parts that are as large as they may be."""
    parts: list[list[Line]] = [[]]
    size = 0
    for unit in _units(lines):
        more = _size(unit)
        # A heading stays with the block it stands over, which may be as long as a piece.
        only_heading = size <= FEWEST and not any(_is_body(line) for line in parts[-1])
        if size + more > MOST and not only_heading:
            parts.append([])
            size = 0
        parts[-1].extend(unit)
        size += more
    if len(parts) > 1 and size < FEWEST:
        rest = parts.pop()
        parts[-1].extend(rest)
    return [part for part in parts if any(line.text.strip() for line in part)]


def _units(lines: list[Line]) -> Iterator[list[Line]]:
    """Give what should stay together: a code block, a paragraph with the blank lines behind it, a heading."""
    unit: list[Line] = []
    for is_code, group in groupby(lines, key=lambda line: line.role == "code"):
        if is_code:
            yield from _fitting(unit)
            yield from _fitting(list(group))
            unit = []
            continue
        for line in group:
            if unit and line.text.strip() and not unit[-1].text.strip():
                yield from _fitting(unit)
                unit = []
            unit.append(line)
    yield from _fitting(unit)


def _fitting(unit: list[Line]) -> Iterator[list[Line]]:
    """Give a unit whole when it fits, else line by line, and a long line sentence by sentence."""
    if _size(unit) <= MOST:
        yield unit
        return
    for line in unit:
        *parts, last = _short(line.text)
        for part in parts:
            yield [replace(line, text=part, ends=False)]
        yield [replace(line, text=last)]


def _short(text: str) -> Iterator[str]:
    """Cut a text at the last end of a sentence, else the last space, else anywhere, so that each part fits."""
    start = 0
    while len(text) - start > MOST:
        stop, half = start + MOST, start + MOST // 2
        sentence = max(_end_of_last(end, text, half, stop) for end in _SENTENCE_ENDS)
        border = sentence if sentence > half else _end_of_last(" ", text, half, stop)
        cut_at = border if border > half else stop
        yield text[start:cut_at]
        start = cut_at
    yield text[start:]


def _end_of_last(end: str, text: str, start: int, stop: int) -> int:
    found = text.rfind(end, start, stop)
    return found + len(end) if found >= 0 else -1


def _is_body(line: Line) -> bool:
    return line.role in ("text", "code") and bool(line.text.strip())


def _size(lines: list[Line]) -> int:
    return sum(len(line.text) + line.ends for line in lines)


def _piece(section: _Section, lines: list[Line]) -> Piece:
    saying = [line for line in lines if line.text.strip()]
    text = "".join(f"{line.text}\n" if line.ends else line.text for line in lines)
    return Piece(text.strip("\n").rstrip(), section.headings, saying[0].number, saying[-1].number)

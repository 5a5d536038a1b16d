"""Cut the text of a passage into sentences that can be quoted: Markdown marks go, code and table rows stay whole."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import re2

Kind = Literal["prose", "item", "row", "code"]

_FENCE: Any = re2.compile(r"^\s*(?:```|~~~)")
_HEADING: Any = re2.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*$")
_ITEM: Any = re2.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+(.*)$")
_ROW: Any = re2.compile(r"^\s*\|(.*)\|\s*$")
_RULE: Any = re2.compile(r"^[\s|:=*_-]*$")
_MARKS = (
    (re2.compile(r"!\[[^\]]*\]\([^)]*\)"), ""),
    (re2.compile(r"\[([^\]]+)\]\([^)]*\)"), r"\1"),
    (re2.compile(r"\[\d{1,3}\]"), ""),  # the marks of the source's own notes would read as citations
    (re2.compile(r"</?[A-Za-z][^<>]*>"), " "),
    (re2.compile(r"\*\*|__(?:\B|$)|(?:^|\B)__"), ""),
    (re2.compile(r"(^|[\s(])[*_]([^\s*_][^*_]*)[*_]"), r"\1\2"),
)
_STOP: Any = re2.compile(
    r"[.!?\x{2026}]+[\"'\x{201D}\x{2019}\x{BB})\]]*\s+|[\x{3002}\x{FF01}\x{FF1F}\x{FF1B}]+[\x{300D}\x{300F}\x{201D}\x{FF09}]*"
)
_ABBREVIATED: Any = re2.compile(
    r"(?:^|[\s(\[\"'\x{201C}])(?:\p{L}|(?:\p{L}\.)+\p{L}|[Mm]rs?|[Dd]rs?|[Mm]s|[Pp]rof|[Ss]t|[Nn]os?|[Ff]ig|[Ee]q|vs|etc|ca|cf"
    r"|approx|Jr|Sr|Inc|Ltd|Co|Corp|Gen|Col|Lt|Sgt|Capt|Gov|Sen|Rep|Rev|Hon|Vol|pp?|ed|al|z\.\s?B|bzw|Nr|Mio|Mrd"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|\d{1,2})\.$"
)
_LONGEST_CODE = 300
_LEADS_UP = (":", "\uff1a")


@dataclass(slots=True)
class Unit:
    """A piece of a passage that belongs together: a paragraph, an item, a row, a block of code.

    Attributes:
        kind: what it is.
        text: its text in one line, without marks.
        heading: the heading above it.
        shows: the code that its last sentence leads up to.
    """

    kind: Kind
    text: str
    heading: str = ""
    shows: str = ""


@dataclass(slots=True)
class _Reader:
    """Collects units line by line."""

    units: list[Unit] = field(default_factory=list[Unit])
    kind: Kind = "prose"
    lines: list[str] = field(default_factory=list[str])
    heading: str = ""
    in_code: bool = False

    def end_unit(self) -> None:
        lines = [" ".join(line.split()) for line in self.lines if line.strip()]
        if self.kind == "code":
            self._keep_code(lines)
        elif text := plain(" ".join(lines)):
            self.units.append(Unit(self.kind, text, self.heading))
        self.kind, self.lines = "prose", []

    def _keep_code(self, lines: list[str]) -> None:
        """Join code to the sentence that leads up to it; else every line stands for itself."""
        before = self.units[-1] if self.units else None
        text = " ".join(lines)
        if before is not None and before.text.endswith(_LEADS_UP) and 0 < len(text) <= _LONGEST_CODE:
            before.shows = f"`{text}`"
            return
        self.units += [Unit("code", line, self.heading) for line in lines]

    def take(self, line: str) -> None:
        if _FENCE.match(line):
            self.end_unit()
            self.in_code = not self.in_code
            self.kind = "code" if self.in_code else "prose"
        elif self.in_code:
            self.lines.append(line)
        else:
            self._take_text(line)

    def _take_text(self, line: str) -> None:
        heading, item, row = _HEADING.match(line), _ITEM.match(line), _ROW.match(line)
        if heading:
            self.end_unit()
            self.heading = plain(heading.group(1))
        elif item:
            self.end_unit()
            self.kind, self.lines = "item", [item.group(1)]
        elif row:
            self.end_unit()
            self._take_row(line, row.group(1))
        elif _RULE.match(line):
            self.end_unit()
        else:
            self.lines.append(line.lstrip("> "))

    def _take_row(self, line: str, inside: str) -> None:
        if _RULE.match(line):
            if self.units and self.units[-1].kind == "row":
                self.units.pop()  # the row above the rule names the columns and says nothing by itself
            return
        cells = [cell.strip() for cell in inside.replace("\\|", "/").split("|")]
        said = ", ".join(cell for cell in cells[1:] if cell)
        self.kind, self.lines = "row", [f"{cells[0]}: {said}" if said else cells[0]]
        self.end_unit()


def units(text: str) -> list[Unit]:
    """Cut a text into paragraphs, items, rows and blocks of code; lines that were wrapped are joined."""
    reader = _Reader()
    for line in text.splitlines():
        reader.take(line)
    reader.end_unit()
    return reader.units


def split(text: str) -> Iterator[str]:
    """Give the sentences of a line of prose, each with its stop."""
    start = 0
    for stop in _STOP.finditer(text):
        following = text[stop.end() : stop.end() + 1]
        before = text[max(start, stop.start() - 20) : stop.start() + 1]
        cut_here = not before.endswith(".") or not (following.islower() or _ABBREVIATED.search(before))
        if following and cut_here:
            yield text[start : stop.end()].strip()
            start = stop.end()
    if text[start:].strip():
        yield text[start:].strip()


def plain(text: str) -> str:
    """Take links, emphasis, HTML tags and note marks out of a line; code spans stay as they are."""
    parts = text.split("`")
    for index in range(0, len(parts), 2):
        for pattern, instead in _MARKS:
            parts[index] = pattern.sub(instead, parts[index])
    return " ".join("`".join(parts).split())

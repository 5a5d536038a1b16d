"""The values of the index: lines with their roles, texts, documents, pieces, and the report of a refresh."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Role = Literal["text", "heading", "rule", "code"]
"""What a line is; a rule is the line under or over a heading."""

Unit = Literal["line", "page", "block"]
"""What positions count: lines of a text, pages of a PDF, blocks of an HTML page."""


class Unreadable(Exception):
    """A file that is left out; the message is the reason, as the second half of a sentence."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a text.

    Attributes:
        number: its position, from 1, counted in the text's unit.
        text: the line as it stands, without its line break.
        role: what the line is.
        level: depth of a heading, from 1; 0 for every other line.
        heading: the words of a heading without its markup.
        ends: whether a line break follows; not so where a long line was cut.
    """

    number: int
    text: str
    role: Role = "text"
    level: int = 0
    heading: str = ""
    ends: bool = True


@dataclass(frozen=True, slots=True)
class Text:
    """What a file says.

    Attributes:
        lines: its lines, in order.
        title: what it calls itself, if it does.
        unit: what the lines' positions count.
    """

    lines: Sequence[Line]
    title: str = ""
    unit: Unit = "line"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document that is found and shown as a whole.

    Attributes:
        text: what it says, as it stands in the document.
        headings: the headings above it, outermost first.
        start: position of its first line.
        end: position of its last line, inclusive.
    """

    text: str
    headings: tuple[str, ...] = ()
    start: int = 1
    end: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """A document cut into pieces.

    Attributes:
        path: names it within its collection.
        sha256: hash of its content.
        title: what it is called.
        pieces: its parts, in order.
        unit: what the pieces' positions count.
    """

    path: str
    sha256: str
    title: str
    pieces: Sequence[Piece]
    unit: Unit = "line"


@dataclass(frozen=True, slots=True)
class Source:
    """A document that a refresh may have to read.

    Attributes:
        path: names it within its collection.
        fetch: is given the hash that is indexed, if any; answers None when the content still has it, and raises
            Unreadable when the document cannot be read.
    """

    path: str
    fetch: Callable[[str | None], Document | None]


@dataclass(slots=True)
class Refreshed:
    """What a refresh did to a collection; counts are of documents unless they say otherwise.

    Attributes:
        collection: the collection's name.
        added: documents that were not there before.
        changed: documents whose content is another.
        removed: documents that are gone.
        unchanged: documents that were not read again.
        passages: pieces that can be found now.
        skipped: files that were left out, each with the reason.
        version: names the configuration and the content that is searched from now on.
    """

    collection: str
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    passages: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    version: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give the report as JSON."""
        return asdict(self)

"""HTML becomes lines: scripts and styles go, block elements end a line, headings and `pre` keep their role."""

from html.parser import HTMLParser

import nh3

from tools.documents.document import Line, Role, Text

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LINE_ENDS = frozenset({"br", "dd", "dt", "li", "tr"})
_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "details", "div", "dl", "fieldset", "figcaption", "figure", "footer"}
    | {"form", "header", "hr", "main", "nav", "ol", "p", "pre", "section", "summary", "table", "ul", *_HEADINGS}
)
_CELLS = frozenset({"td", "th"})
_UNSEEN = {"canvas", "iframe", "noscript", "object", "script", "style", "svg", "template"}


def html_text(source: str) -> Text:
    """Read a page as a person would; its positions count the lines of what is read."""
    # nh3 parses as a browser does and in linear time, whatever the page holds; html.parser alone does not.
    clean = nh3.clean(source, tags={"title", *_BLOCKS, *_LINE_ENDS, *_CELLS}, attributes={}, clean_content_tags=_UNSEEN)
    reader = _Reader()
    reader.feed(clean)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[Line] = []
        self._held: list[str] = []
        self._title: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _BLOCKS:
            self._end_line()
            self._add("")
        elif tag in _LINE_ENDS:
            self._end_line()
        if tag in ("pre", "title", *_HEADINGS):
            self._inside.append(tag)
        elif tag == "li":
            self._held.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS or tag in _LINE_ENDS:
            self._end_line()
        elif tag in _CELLS:
            self._held.append(" ")
        if tag in self._inside:
            del self._inside[self._inside.index(tag) :]
        if tag in _BLOCKS:
            self._add("")

    def handle_data(self, data: str) -> None:
        (self._title if "title" in self._inside else self._held).append(data)

    def text(self) -> Text:
        """Give what was read."""
        self._end_line()
        return Text(self._lines, " ".join("".join(self._title).split()), "block")

    def _end_line(self) -> None:
        said = "".join(self._held)
        self._held.clear()
        if "pre" in self._inside:
            for line in said.strip("\n").split("\n"):
                self._add(line.rstrip(), "code")
            return
        words = " ".join(said.split())
        level = next((_HEADINGS[tag] for tag in reversed(self._inside) if tag in _HEADINGS), 0)
        if words and level:
            self._add(words, "heading", level)
        elif words and words != "-":
            self._add(words)

    def _add(self, text: str, role: Role = "text", level: int = 0) -> None:
        if text or (self._lines and self._lines[-1].text):
            self._lines.append(Line(len(self._lines) + 1, text, role, level, text if level else ""))

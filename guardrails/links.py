"""Read every link of a text as whoever shows it would: markdown, HTML, styles and bare addresses."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import nh3
import re2
from markdown_it import MarkdownIt

LONGEST = 100_000
"""Characters of a text that is read at all; a longer one is no answer for a person."""

_BARE = re2.compile(r"(?i)(?:https?|ftp)://[^\s<>\"'`\])}]+")
_IN_MARKDOWN = re.compile(  # what every link of markdown has one of, with its address unless that is escaped
    r"\]\(\s*(?P<inline>[^\s()<\\>][^\s()<\\]*|)"
    r"|\]:\s*(?P<reference>[^\s<\\>][^\s<\\]*|)"
    r"|<(?P<bare>[A-Za-z][A-Za-z0-9+.-]{1,31}:[^<>\x00-\x20]*)>"
)
_NOT_PLAIN = frozenset("(<\\")
_ENTITY = re.compile(r"&#?\w+;")
_IN_STYLE = re2.compile(r"(?i)(?:url\(|@import)\s*[\"']?((?:[a-z][a-z0-9+.-]*:)?//[^\s\"')]+)")
_LEADS = {
    "a": {"href", "ping"},
    "area": {"href"},
    "base": {"href"},
    "form": {"action"},
    "button": {"formaction"},
}
_LOADS = {
    "img": {"src", "srcset", "longdesc"},
    "iframe": {"src", "srcdoc"},
    "embed": {"src"},
    "object": {"data"},
    "audio": {"src"},
    "video": {"src", "poster"},
    "source": {"src", "srcset"},
    "track": {"src"},
    "link": {"href"},
    "input": {"src"},
    "image": {"href", "xlink:href"},
    "use": {"href", "xlink:href"},
    "body": {"background"},
    "table": {"background"},
    "td": {"background"},
}
_ATTRIBUTES = {tag: _LEADS.get(tag, set[str]()) | _LOADS.get(tag, set[str]()) for tag in {*_LEADS, *_LOADS}}
_SCHEMES = {"http", "https", "ftp", "mailto", "tel", "javascript", "data", "vbscript", "file", "blob", "ws", "wss"}


@dataclass(frozen=True, slots=True)
class Link:
    """An address in a text, whether it is fetched without anybody's doing, and the lines of its block if known."""

    address: str
    is_loaded: bool
    lines: tuple[int, int] | None = None

    def places_in(self, text: str) -> list[tuple[int, int]]:
        """Give every place where the address stands, whatever it is there; its lines where it stands escaped."""
        places: list[tuple[int, int]] = []
        at = text.find(self.address)
        while at >= 0:
            places.append((at, at + len(self.address)))
            at = text.find(self.address, at + len(self.address))
        if places or self.lines is None:
            return places or [(0, len(text))]
        rows = text.splitlines(keepends=True)
        start = sum(map(len, rows[: self.lines[0]]))
        return [(start, start + sum(map(len, rows[self.lines[0] : self.lines[1]])))]


def links_in(text: str, matters: Callable[[str], bool]) -> list[Link]:
    """Give every link once.

    Args:
        text: without lone surrogates.
        matters: says of an address whether it is worth being told of; where none of markdown is, it is not parsed.
    """
    found: dict[tuple[str, bool], Link] = {}
    markdown = _in_markdown(text) if _may_matter(text, matters) else ()
    for link in (*markdown, *_in_html(text), *_in_styles(text), *_bare(text)):
        if link.is_loaded or (link.address, True) not in found:
            found.setdefault((link.address, link.is_loaded), link)
    return list(found.values())


@cache
def _markdown() -> MarkdownIt:
    reader = MarkdownIt("commonmark").enable("table").disable("emphasis")  # which no link hangs on
    reader.normalizeLink = lambda url: url  # as it is written, so that it can be found again
    reader.validateLink = lambda url: True
    return reader


def _may_matter(text: str, matters: Callable[[str], bool]) -> bool:
    """Say whether to parse markdown: a link of it may matter, or its address is not what is written there."""
    addresses: set[str] = set()
    for match in _IN_MARKDOWN.finditer(text):
        address = match[match.lastgroup or 0]
        after = text[match.end() : match.end() + 1]
        if match.lastgroup == "inline" and not address and after == ")":
            continue  # it leads nowhere
        if not address or after in _NOT_PLAIN or _ENTITY.search(address):
            return True
        addresses.add(address)
    return any(map(matters, addresses))


def _in_markdown(text: str) -> Iterator[Link]:
    for block in _markdown().parse(text):
        lines = (block.map[0], block.map[1]) if block.map else None
        for token in block.children or ():
            address = token.attrs.get("src" if token.type == "image" else "href")
            if token.type in {"image", "link_open"} and address:
                yield Link(str(address), token.type == "image", lines)


def _in_html(text: str) -> Iterator[Link]:
    if "<" not in text:
        return
    heard: list[tuple[str, str, str]] = []

    def hear(tag: str, attribute: str, value: str) -> str:
        if attribute in _ATTRIBUTES.get(tag, ()):
            heard.append((tag, attribute, value))
        return value

    nh3.clean(
        text,
        tags=set(_ATTRIBUTES),
        clean_content_tags=set(),
        attributes=_ATTRIBUTES,
        attribute_filter=hear,
        url_schemes=_SCHEMES,
        link_rel=None,
    )
    for tag, attribute, value in heard:
        is_loaded = attribute in _LOADS.get(tag, ()) or attribute == "ping"
        for part in value.split(",") if attribute == "srcset" else [value]:
            if words := part.split():
                yield Link(words[0] if attribute == "srcset" else value.strip(), is_loaded)


def _in_styles(text: str) -> Iterator[Link]:
    for match in _IN_STYLE.finditer(text):
        yield Link(cast("Any", match).group(1), True)


def _bare(text: str) -> Iterator[Link]:
    for match in _BARE.finditer(text):
        yield Link(cast("str", match.group()).rstrip(".,;:!?*_"), False)

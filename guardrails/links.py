"""Read every link of a text as whoever shows it would: markdown, HTML, styles and bare addresses."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import nh3
import re2
from markdown_it import MarkdownIt

LONGEST = 100_000
"""Characters of a text that is read at all; a longer one is no answer for a person."""

_BARE = re2.compile(r"(?i)(?:https?|ftp)://[^\s<>\"'`\])}]+")
_IN_MARKDOWN = re2.compile(r"\]\(|\]:|<[A-Za-z][A-Za-z0-9+.-]*:")  # what every link of markdown has one of
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
    """An address in a text, and whether it is fetched without anybody's doing."""

    address: str
    is_loaded: bool
    start: int
    end: int


def links_in(text: str) -> list[Link]:
    """Give every link; one that stands escaped in the text has the span of the lines that it is on."""
    found: dict[tuple[str, bool], list[Link]] = {}
    for address, is_loaded, lines in (*_in_markdown(text), *_in_html(text), *_in_styles(text), *_bare(text)):
        if (address, is_loaded) not in found and (is_loaded or (address, True) not in found):
            places = _places(text, address, lines)
            found[address, is_loaded] = [Link(address, is_loaded, start, end) for start, end in places]
    return [link for links in found.values() for link in links]


Found = Iterator[tuple[str, bool, tuple[int, int] | None]]


@cache
def _markdown() -> MarkdownIt:
    reader = MarkdownIt("commonmark").enable("table").disable("emphasis")  # which no link hangs on
    reader.normalizeLink = lambda url: url  # as it is written, so that it can be found again
    reader.validateLink = lambda url: True
    return reader


def _in_markdown(text: str) -> Found:
    if not _IN_MARKDOWN.search(text):
        return
    for block in _markdown().parse(text):
        lines = (block.map[0], block.map[1]) if block.map else None
        for token in block.children or ():
            address = token.attrs.get("src" if token.type == "image" else "href")
            if token.type in {"image", "link_open"} and address:
                yield str(address), token.type == "image", lines


def _in_html(text: str) -> Found:
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
                yield (words[0] if attribute == "srcset" else value.strip()), is_loaded, None


def _in_styles(text: str) -> Found:
    for match in _IN_STYLE.finditer(text):
        yield cast("Any", match).group(1), True, None


def _bare(text: str) -> Found:
    for match in _BARE.finditer(text):
        yield cast("str", match.group()).rstrip(".,;:!?*_"), False, None


def _places(text: str, address: str, lines: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Give every place where an address stands, whatever it is there."""
    places: list[tuple[int, int]] = []
    at = text.find(address)
    while at >= 0:
        places.append((at, at + len(address)))
        at = text.find(address, at + len(address))
    if places or lines is None:
        return places or [(0, len(text))]
    rows = text.splitlines(keepends=True)
    start = sum(map(len, rows[: lines[0]]))
    return [(start, start + sum(map(len, rows[lines[0] : lines[1]])))]

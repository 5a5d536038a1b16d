"""Exfiltration: no link or image carries what a run knows to somebody else's server."""

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar, Literal, cast
from urllib.parse import SplitResult, unquote_plus, urlsplit

import re2

from engine import Action, GuardItem, Guardrail, Span, Verdict
from engine.definition.by_path import Many
from guardrails.links import LONGEST, Link, links_in
from guardrails.patterns import encodable
from guardrails.taking_out import to_the_end

_HARMLESS = frozenset({"", "http", "https", "mailto", "tel", "ftp"})
_JOINT = re.compile(r"[/&=?;,#]")
_WORD = re2.compile(r"[\pL\pN@.:'_-]+")
_BASE64 = re2.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_BASE32 = re2.compile(r"[A-Z2-7]{24,}={0,6}")
_HEX = re2.compile(r"(?:[0-9a-fA-F]{2}){16,}")
_LONGEST_LABEL, _LONG_LABEL = 40, 24
_LONG_VALUE = 32
_SHORTEST_CODE, _SHORTEST_SENTENCE = 20, 16  # characters
_MIXED = 4.3  # bits a character: what keys and ciphers reach and words do not


class Exfiltration(Guardrail):
    """Finds links that would take data along, and images, frames and styles that are fetched by themselves.

    With `hosts`, whatever is fetched by itself must come from one of them (or a host under it), and so must links where
    `links` says "listed". Without, what counts is shape: a script for an address, a user name in it, a host name that
    spells data, text or encoded text in a path or a query. Texts are parsed as markdown and as HTML, as who shows them
    does. What shape cannot tell: a few bytes in an ordinary path, and data that is encrypted into a link that a
    person has to click; name the hosts.
    """

    labels: ClassVar[Sequence[str] | None] = ("LINK",)

    hosts: Many[str] = ()
    """Hosts that may be loaded from and led to, with those under them, as in "acme.com"."""
    links: Literal["shaped", "listed"] = "shaped"
    """Whether links that a person has to click are judged by their shape or must lead to one of `hosts`."""
    action: Literal["redact", "mask", "block", "flag"] = "redact"
    """What is done about an address: it is cut out, or [LINK] stands in its place, or the run ends."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        """Look at every link of a text."""
        if len(text) > LONGEST:
            reason = f"the text has {len(text):,} characters, and links are looked for in {LONGEST:,} at the most"
            return Verdict(action=Action.FLAG if self.action == "flag" else Action.BLOCK, reason=reason)
        found = self._bad_links(text)
        if not found:
            return Verdict(action=Action.ALLOW)
        return Verdict(
            action=Action(self.action),
            reason=f"the text holds {'; '.join(dict.fromkeys(found.values()))}",
            score=1.0,
            spans=tuple(to_the_end(text, self._find, self.action)),
        )

    def _bad_links(self, text: str) -> Mapping[Link, str]:
        against = cache(self._against)
        links = links_in(encodable(text), lambda address: any(against(Link(address, loads)) for loads in (True, False)))
        return {link: why for link in links if (why := against(replace(link, lines=None)))}

    def _find(self, text: str) -> Sequence[Span]:
        readable = encodable(text)
        return _merged(place for link in self._bad_links(text) for place in link.places_in(readable))

    def _against(self, link: Link) -> str | None:
        """Say what is wrong with a link."""
        what = "something that loads" if link.is_loaded else "a link"
        try:
            address = urlsplit("".join(link.address.split()).replace("\\", "/"))
            host = (address.hostname or "").rstrip(".").casefold()
        except ValueError:
            return f"{what} whose address cannot be read"
        if address.scheme not in _HARMLESS:
            return f"{what} by {address.scheme!r}"
        is_near = address.scheme in {"mailto", "tel"} or not address.netloc  # nowhere, or to where the text is shown
        if is_near or any(host == one or host.endswith(f".{one}") for one in map(str.casefold, self.hosts)):
            return None
        if self.hosts and (link.is_loaded or self.links == "listed"):
            return f"{what} from {host!r}, which is not on the list"
        why = _shape_of(address, host, is_loaded=link.is_loaded)
        return f"{what} {why}" if why else None


def _shape_of(address: SplitResult, host: str, *, is_loaded: bool) -> str | None:
    """Say what in an address looks like data."""
    if address.username or address.password:
        return "with a user name"
    if any(_spells_data(label) for label in host.split(".")):
        return "with data for a host"
    return "that carries data" if _carries(address, is_loaded=is_loaded) else None


def _merged(spans: Iterable[tuple[int, int]]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        before = merged.pop() if merged and start < merged[-1].end else None
        first, last = (start, end) if before is None else (before.start, max(end, before.end))
        merged.append(Span(start=first, end=last, label="LINK"))
    return tuple(merged)


def _spells_data(label: str) -> bool:
    return len(label) > _LONGEST_LABEL or (
        len(label) > _LONG_LABEL and "-" not in label and sum(map(str.isdigit, label)) >= 3
    )


def _carries(address: SplitResult, *, is_loaded: bool) -> bool:
    for part, is_path in ((address.path, True), (address.query, False), (address.fragment, True)):
        for value in _JOINT.split(part):
            text = unquote_plus(value)
            if _says(text, is_path=is_path) or (len(text) >= _SHORTEST_CODE and _decodes(text)):
                return True
            if is_loaded and not is_path and len(text) >= _LONG_VALUE and _entropy(text) >= _MIXED:
                return True
    return False


def _says(text: str, *, is_path: bool) -> bool:
    """Say whether words stand in an address: three or more, which a title in a path may be, and a number or address."""
    if len(text) < _SHORTEST_SENTENCE or " " not in text.strip():
        return False
    words = [word for word in cast("list[str]", _WORD.findall(text)) if word.strip("-_.:")]
    tells = any(any(map(str.isdigit, word)) or "@" in word for word in words)
    return len(words) >= 3 and (tells or not is_path)


def _decodes(text: str) -> bool:
    """Say whether a value is readable text in base64, base32 or hex."""
    for form, decode in _CODES:
        for value in cast("list[str]", form.findall(text)):
            try:
                raw = decode(value)
            except (binascii.Error, ValueError):
                continue
            if len(raw) >= 12 and sum(32 <= byte < 127 for byte in raw) >= 0.95 * len(raw):
                return True
    return False


def _from_base32(value: str) -> bytes:
    bare = value.rstrip("=")
    return base64.b32decode(bare + "=" * (-len(bare) % 8))


def _from_base64(value: str) -> bytes:
    bare = value.rstrip("=").replace("+", "-").replace("/", "_")
    bare = bare[: len(bare) - (len(bare) % 4 == 1)]
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))


_CODES: tuple[tuple[Any, Callable[[str], bytes]], ...] = (
    (_HEX, bytes.fromhex),
    (_BASE32, _from_base32),
    (_BASE64, _from_base64),
)


def _entropy(text: str) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())

"""What a text says once its disguise is off: base64, hex, percent-encoding, entities, tags, ROT13 and others."""

import base64
import binascii
import codecs
import html
import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterator
from typing import cast

import re2

from guardrails.normalise import fold
from guardrails.patterns import Pattern, encodable
from guardrails.windows import windows

_MOST_DECODED = 64 * 1024  # characters that are decoded at most, of one text and in one code
_MOST_STRETCHES = 200
_WINDOW, _OVERLAP = 4_096, 1_024  # characters that are rewritten at once
_READABLE = 0.55  # the least share of letters; of bytes at random a third are

_COMMON = (
    "the|and|you|your|for|not|with|this|that|have|are|from|will|please|before|after|always|never|must|should|write|"
    "system|prompt|instructions|instruction|ignore|previous|rules|forget|disregard|password|everything|above|message|"
    "repeat|text|following|user|answer"
)
"""Words of which one stands in almost every sentence of English that says what to do."""


_BASE64 = Pattern(r"[A-Za-z0-9+/_\-]{20,}={0,2}")
_HEX = Pattern(r"(?:[0-9A-Fa-f]{2}[ :]?){12,}")
_PERCENT = Pattern(r"(?:[\w.~+\-]*%[0-9A-Fa-f]{2}){3,}[\w.~+\-]*")
_ENTITY = Pattern(r"(?:&#x?[0-9A-Fa-f]{2,6};[\w ]?){6,}")
_SPACED = Pattern(r"(?:[^\s] {1,4}){8,}[^\s]")
_ROTATED = Pattern(rf"\b(?:{codecs.encode(_COMMON, 'rot13')})\b")
_REVERSED = Pattern(rf"\b(?:{_COMMON[::-1]})\b")
_LEET = Pattern(
    r"(?:\b(?:[a-z]+[013457$]+[a-z]|[013457$]+[a-z]+[013457$])[a-z013457@$]*\b[^a-z]*(?:[a-z]+[^a-z]+){0,3}){2}"
)
_DOTTED = Pattern(r"(?: [.*_~\-]\pL+){4,}")
_BACKSLASH = Pattern(r"\\")
_ESCAPE = re.compile(r"\\+[nrt\"'/]?")
_DOT = re2.compile(r" [.*_~\-]+")
_GAP = re2.compile(r" {2,}")
_RIGHT_TO_LEFT = {"\u202e", "\u2067"}
_TAGGED = re.compile("[\U000e0020-\U000e007e]+")
_TAG = "\U000e0020".encode()[:2]  # how each of them begins
_TAGS = {code: code - 0xE0000 for code in range(0xE0020, 0xE007F)}
_FROM_LEET = str.maketrans("013457$", "oieasts")
_FROM_LEET_WITH_AT = str.maketrans("013457@$", "oieastas")


def undisguised(text: str, folded: str) -> Iterator[tuple[str, str]]:
    """Give how a text may be disguised and what it says then, folded; what is encoded up to a bound.

    Args:
        text: as it is written.
        folded: the same, folded to one line.
    """
    plain = encodable(text)
    if not text.isascii():
        if _TAG in plain.encode() and (tags := "".join(_TAGGED.findall(text))[:_MOST_DECODED]):
            yield "in tag characters", fold(tags.translate(_TAGS)).text
        if any(mark in text for mark in _RIGHT_TO_LEFT):
            yield "from right to left", folded[:_MOST_DECODED][::-1]
    for how, mark, pattern, decode in _CODES:
        if mark in plain and (decoded := _decoded(pattern, plain, decode)):
            yield how, fold(decoded).text
    for _, part in windows(folded, _WINDOW, _OVERLAP):
        for how, gate, rewrite in _REWRITTEN:
            if gate.found_in(part):
                yield how, " ".join(rewrite(part).split())


def _decoded(pattern: Pattern, text: str, decode: Callable[[str], str]) -> str:
    """Decode what matches a pattern, up to a bound; what is not readable text is left out."""
    parts: list[str] = []
    left = _MOST_DECODED
    for start, end in pattern.spans(text):
        part = decode(text[start : min(end, start + left)])
        if part and _is_readable(part):
            parts.append(part)
        left -= end - start
        if left <= 0 or len(parts) >= _MOST_STRETCHES:
            break
    return " ".join(parts)


def _is_readable(text: str) -> bool:
    """Say whether most of a text is letters, with the vowel signs that some scripts write as marks, and gaps."""
    letters = sum(
        one.isalpha() or one.isspace() or (one > "\x7f" and unicodedata.category(one)[0] == "M") for one in text
    )
    return letters > _READABLE * len(text)


def _from_base64(stretch: str) -> str:
    bare = stretch.rstrip("=").replace("-", "+").replace("_", "/")
    bare = bare[: len(bare) - (len(bare) % 4 == 1)]
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4)).decode("utf-8", "ignore")
    except (binascii.Error, ValueError):
        return ""


def _from_hex(stretch: str) -> str:
    digits = stretch.replace(" ", "").replace(":", "")
    return bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "ignore")


def _from_spaced(stretch: str) -> str:
    return " ".join(word.replace(" ", "") for word in cast("list[str]", _GAP.split(stretch)))


def _from_leet(text: str) -> str:
    """Give letters for digits; an @ may be a letter, or the sign in an address."""
    plain = text.translate(_FROM_LEET)
    return f"{plain} {text.translate(_FROM_LEET_WITH_AT)}" if "@" in text else plain


_CODES: tuple[tuple[str, str, Pattern, Callable[[str], str]], ...] = (
    ("in base64", "", _BASE64, _from_base64),
    ("in hex", "", _HEX, _from_hex),
    ("percent-encoded", "%", _PERCENT, urllib.parse.unquote_plus),
    ("in HTML entities", "&#", _ENTITY, html.unescape),
    ("spaced out", " ", _SPACED, _from_spaced),
)
"""How a stretch of text may be encoded: what to call it, what it cannot do without, how to find and decode it."""

_REWRITTEN: tuple[tuple[str, Pattern, Callable[[str], str]], ...] = (
    ("in ROT13", _ROTATED, lambda text: codecs.encode(text, "rot13")),
    ("backwards", _REVERSED, lambda text: text[::-1]),
    ("in leet", _LEET, _from_leet),
    ("between dots", _DOTTED, lambda text: _DOT.sub(" ", text)),
    ("behind escapes", _BACKSLASH, lambda text: _ESCAPE.sub(" ", text)),
)
"""How a whole text may be disguised: what to call it, what gives it away, how to undo it."""

"""Read what is hidden in a text: encoded, reversed or spaced-out words, and letters that no screen shows."""

import base64
import binascii
import codecs
import html
from collections.abc import Iterator
from urllib.parse import unquote

from guardrails.normalise import fold
from guardrails.patterns import Pattern

_MOST_DISGUISED = 16_384  # characters of a text that are tried as a disguise
_MOST_PIECES, _LONGEST_PIECE = 32, 8_192  # encoded pieces of a text, and characters of each

_BASE64 = Pattern(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX = Pattern(r"(?:[0-9A-Fa-f]{2}[ :,]?){12,}")
_SPACED = Pattern(r"(?:[^ \n] {1,3}){8,}[^ \n]")
_ENGLISH = Pattern(r"\b(?:the|you|your|and|all|this|my|instructions?|prompts?|ignore|forget|disregard|system)\b")
_ALONE_IN_WORD = Pattern(r"[0-9@$|]")
_LEET = str.maketrans("0134578@$|!", "oieastbasii")


class _Words(dict[int, str]):
    """Letters, digits and spaces stay; everything else goes."""

    def __missing__(self, code: int) -> str:
        kept = self[code] = chr(code) if chr(code).isalnum() or chr(code) == " " else ""
        return kept


_WORDS = _Words()
_FIRST_TAG, _LAST_TAG = 0xE0020, 0xE007E


def hidden_texts(text: str) -> Iterator[tuple[str, str]]:
    """Give the ways a text can be read besides as it stands: the disguise's name, and the folded reading.

    Only the beginning of a long text, and so many encoded pieces, are tried: this takes a bounded time.
    """
    start = text[:_MOST_DISGUISED]
    encodable = start.encode("utf-8", "replace").decode("utf-8")
    if tags := "".join(chr(ord(one) - 0xE0000) for one in text if _FIRST_TAG <= ord(one) <= _LAST_TAG):
        yield "tags", fold(tags).text
    if "\\" in start:
        yield "escapes", fold(encodable.replace("\\n", " ").replace("\\t", " ").replace("\\", "")).text
    if "&" in start and ";" in start:
        yield "html", fold(html.unescape(encodable)).text
    if "%" in start:
        yield "url", fold(unquote(encodable, errors="replace")).text
    yield from _encoded_pieces(encodable)
    yield from _disguises(fold(start).text, fold(start, one_line=False).text)


def _disguises(folded: str, spaced: str) -> Iterator[tuple[str, str]]:
    for name, reading in (("rot13", codecs.encode(folded, "rot13")), ("reversed", folded[::-1])):
        if _ENGLISH.found_in(reading):
            yield name, reading
    if _ALONE_IN_WORD.found_in(folded):
        yield "leet", folded.translate(_LEET)
    sentences = folded.replace("? ", ". ").replace("! ", ". ").split(". ")
    yield "punctuation", ". ".join(" ".join(sentence.translate(_WORDS).split()) for sentence in sentences)
    for start, end in _SPACED.spans(spaced):
        words = spaced[start:end].replace("   ", "\n").replace("  ", "\n").replace(" ", "")
        yield "spaced", words.replace("\n", " ")


def _encoded_pieces(text: str) -> Iterator[tuple[str, str]]:
    for name, pattern, decode in (("base64", _BASE64, _from_base64), ("hex", _HEX, _from_hex)):
        for number, (start, end) in enumerate(pattern.spans(text)):
            if number >= _MOST_PIECES:
                break
            decoded = decode(text[start : min(end, start + _LONGEST_PIECE)])
            if _is_writing(decoded):
                yield name, fold(decoded).text


def _from_base64(piece: str) -> str:
    plain = piece.rstrip("=").replace("-", "+").replace("_", "/")
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    return base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8", "replace")


def _from_hex(piece: str) -> str:
    digits = piece.translate({ord(joint): None for joint in " :,"})
    try:
        return bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "replace")
    except (ValueError, binascii.Error):
        return ""


def _is_writing(text: str) -> bool:
    """Say whether decoded bytes are words: printable, with spaces."""
    shown = sum(character.isprintable() and character != "\ufffd" for character in text)
    return " " in text and shown >= 0.9 * len(text)

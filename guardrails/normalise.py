"""Fold text so that disguises fall off, and lead every place in it back to the original."""
# ruff: noqa: RUF001 - look-alikes are what this file is about

import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

# By the eye, not by the ear: Cyrillic er is a p. Both cases become what the capital looks like, so they stay equal.
_CYRILLIC = "аa вb еe ѕs іi јj кk мm нh оo рp сc тt уy хx ѵv һh ԁd ԛq ԝw ӏl ғf қk ҝk ңh ҳx ұy үy ҽe ԍg ьb зz"
_GREEK = "αa βb εe ζz ηn ιi κk νv οo ρp τt υu χx ϲc ϳj Νn Ηh Μm Τt Ρp Υy Χx Ζz Βb Εe Ιi Κk Οo Αa"
_LATIN = "ıi ɑa ɡg ɩi ɪi ʏy ʀr ɴn ʟl ʙb ᴀa ᴄc ᴅd ᴇe ᴊj ᴋk ᴍm ᴏo ᴘp ᴛt ᴜu ᴠv ᴡw ᴢz øo łl đd ħh ŧt ƙk ƴy ƅb"
_OTHERS = 'օo սu ոn հh ցg ӕæ ꓲl ǀl ∣| ⁄/ ∕/ ‐- ‑- ‒- –- —- ―- −- ‘\' ’\' ‚\' ‛\' ′\' “" ”" „" ‟" ″" «" »" 。. ｡.'
_LOOK_ALIKES = {pair[0]: pair[1] for pair in f"{_CYRILLIC} {_GREEK} {_LATIN} {_OTHERS}".split()}

_REMOVED_CATEGORIES = {"Cf", "Cc", "Co", "Cn"}
_REMOVED = {"\u115f", "\u1160", "\u3164", "\uffa0", "\u034f", "\u2800", "\u17b4", "\u17b5"}  # letters without ink
_FIRST_ACCENT, _LAST_ACCENT = "\u0300", "\u036f"
_FIRST_VARIANT, _LAST_VARIANT = "\ufe00", "\ufe0f"


def _fold_character(character: str) -> str:
    category = unicodedata.category(character)
    if character == "\n" or character.isspace():
        return "\n" if character == "\n" or category in {"Zl", "Zp"} else " "
    if category == "Cs":
        return "\ufffd"
    if category in _REMOVED_CATEGORIES or character in _REMOVED or _FIRST_VARIANT <= character <= _LAST_VARIANT:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    parts = unicodedata.normalize("NFKD", _LOOK_ALIKES.get(character, character))
    plain = "".join(part for part in parts if not _FIRST_ACCENT <= part <= _LAST_ACCENT)
    alike = "".join(_LOOK_ALIKES.get(part, part) for part in unicodedata.normalize("NFC", plain))
    return "".join(_LOOK_ALIKES.get(part, part) for part in alike.casefold()).strip() or (" " if plain else "")


class _Folds(dict[int, str]):
    """What each character becomes, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _fold_character(chr(code))
        return folded


_FOLDS = _Folds()
_BY_ALPHABET = re.compile(r"[\x00-\x7f]+|[^\x00-\x7f]+")
_PLAIN_ON_ONE_LINE = re.compile(r"([!-~]+(?: [!-~]+)*)|[^!-~]")  # what becomes as many characters as it is
_PLAIN = re.compile(r"([\t\n -~]+)|[^\t\n -~]")
_LONGEST_KEPT = 70_000  # characters
_PIECE = 65_536


@dataclass(frozen=True)
class Folded:
    """Folded text and the way back to the text that it was made of."""

    text: str
    original: str
    one_line: bool = True
    """Whether runs of white space, line breaks too, have become one space."""

    @cached_property
    def _shifts(self) -> tuple[Sequence[int], Sequence[int]]:
        """Where stretches of the folded text begin that go on character by character, and where in the original."""
        folded, original = array("Q", [0]), array("Q", [0])
        length, in_gap = 0, self.one_line  # white space at the start is left out
        for part in (_PLAIN_ON_ONE_LINE if self.one_line else _PLAIN).finditer(self.original):
            at, end = part.span()
            count, is_gap = end - at, False
            if not part.lastindex:
                put = _FOLDS[ord(part.group())]
                is_gap = self.one_line and put.isspace()
                count = 0 if is_gap and in_gap else len(put)
            for begin in range(1 if part.lastindex else count):
                if length + begin - folded[-1] != at - original[-1]:
                    folded.append(length + begin)
                    original.append(at)
            length += count
            in_gap = is_gap or (in_gap and not count)
        return folded, original

    def offset(self, at: int) -> int:
        """Give where a character of the folded text stood in the original; beyond its end, the original's end."""
        if at >= len(self.text):
            return len(self.original)
        if len(self.original) == len(self.text) and self.original.isascii():
            return at
        folded, original = self._shifts
        number = bisect_right(folded, at) - 1
        return original[number] + at - folded[number]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Give where a stretch of the folded text stands in the original, with the marks that belong to it."""
        first = self.offset(start)
        if start >= end:
            return first, first
        last = self.offset(end - 1) + 1
        while last < len(self.original) and not _FOLDS[ord(self.original[last])]:
            last += 1
        return first, last


def words_before(text: str, visible: int) -> int:
    """Give the end of the last word that has at least so many visible characters behind it."""
    end = len(text)
    while end and visible:
        end -= 1
        visible -= bool(_FOLDS[ord(text[end])])
    return max(text.rfind(gap, 0, end) for gap in " \n\t") + 1


def fold(text: str, *, one_line: bool = True) -> Folded:
    """Fold a text: compatibility forms, case, accents and look-alikes are levelled, what is invisible is removed.

    It takes time in proportion to the text. Lone surrogates become U+FFFD, so that the result can be encoded.

    Args:
        text: any text.
        one_line: whether runs of white space, line breaks too, become one space.
    """
    folded = _kept(text) if len(text) <= _LONGEST_KEPT else _translated(text)
    return Folded(" ".join(folded.split()) if one_line else folded, text, one_line)


def _translated(text: str) -> str:
    if text.isascii():
        return text.translate(_FOLDS)
    pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))  # so that few parts are there at once
    return "".join("".join(map(_fold_part, _BY_ALPHABET.findall(piece))) for piece in pieces)


def _fold_part(part: str) -> str:
    return part.translate(_FOLDS)  # ASCII by itself goes ten times as fast


_kept = lru_cache(maxsize=16)(_translated)  # guardrails of one place look at the same texts, one after the other

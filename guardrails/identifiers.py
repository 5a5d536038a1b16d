"""Read who or what an argument names: addresses, links, accounts and numbers, in one form however they are written."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote

from guardrails.normalise import fold
from guardrails.patterns import Pattern

_EMAIL = Pattern(r"[^\s@,;<>\"'()\[\]]+@[^\s@,;<>\"'()\[\]]+\.[^\s@,;<>\"'()\[\]]+")
_LINK = Pattern(
    r"(?:[a-z][a-z0-9+.-]*://|www\.)\S+|(?:[a-z0-9-]+\.)+[a-z]{2,}(?:[:/?#]\S*)?|\d{1,3}(?:\.\d{1,3}){3}\S*"
)
_ACCOUNT = Pattern(r"[a-z]{2}\d{2}[a-z0-9 -]{8,40}|0x[0-9a-f]{16,}|(?:bc1|[13])[a-km-z0-9]{25,60}")
_NUMBER = Pattern(r"\+?[\d() ./-]{7,25}")
_TOKEN = Pattern(r"<[a-z][a-z0-9_]*_[a-z2-7]{8}>")  # stands for an identifier that was taken out
_SCHEME = Pattern(r"^(?:[a-z][a-z0-9+.-]*:(?://)?)?(?:[^/@\s]*@)?(?:www\.)?")
_LONGEST = 2_000  # characters of an identifier; what is longer names nobody
_PART = frozenset(" ,;\n\t|")
_QUOTES = " \t\n'\"<>[]{}()`"
_IN_A_TOKEN = frozenset("-_.@%+=~/&?#:")


def named_in(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give every text in an argument, with its path; one that lists several things gives each."""
    if isinstance(value, str):
        for part in _split(value):
            yield path, part
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, Any]", value).items():
            yield from named_in(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence):
        for index, inner in enumerate(cast("Sequence[Any]", value)):
            yield from named_in(inner, f"{path}[{index}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, str(value)


def is_address(text: str) -> bool:
    """Say whether a text is as a whole an e-mail address, a link, an account or a telephone number."""
    folded = fold(text).text
    if _TOKEN.is_all_of(folded) or _EMAIL.is_all_of(folded) or _LINK.is_all_of(folded) or _ACCOUNT.is_all_of(folded):
        return True
    return _NUMBER.is_all_of(folded) and sum(map(str.isdigit, folded)) >= 9


def plain(text: str) -> str:
    """Give an identifier in its one form: folded, without scheme, `www.` and what only groups it."""
    folded = fold(unquote(text)).text.strip(_QUOTES)
    if _EMAIL.is_all_of(folded.removeprefix("mailto:")):
        return folded.removeprefix("mailto:")
    if _ACCOUNT.is_all_of(folded) or (_NUMBER.is_all_of(folded) and any(map(str.isdigit, folded))):
        return "".join(filter(str.isalnum, folded))
    if _LINK.is_all_of(folded):
        (start, end), *_ = _SCHEME.spans(folded)
        return folded[end:].rstrip("/.") if start == 0 else folded
    return folded


def domains_in(text: str) -> Iterator[str]:
    """Give the domains of the e-mail addresses in a text."""
    folded = fold(text).text
    for start, end in _EMAIL.spans(folded):
        yield folded[start:end].rpartition("@")[2].rstrip(".:!?")


class Text:
    """A text in which identifiers are looked for, whole ones only."""

    def __init__(self, text: str) -> None:
        self._folded = fold(unquote(text)).text
        self._compact: str | None = None

    def names(self, identifier: str) -> bool:
        """Say whether an identifier in its one form stands in the text, and not as a part of a longer one."""
        if not identifier or len(identifier) > _LONGEST:
            return False
        if _stands_in(self._folded, identifier):
            return True
        if not (identifier.isalnum() and sum(map(str.isdigit, identifier)) >= 7):
            return False
        if self._compact is None:
            self._compact = "".join(filter(str.isalnum, self._folded))
        return identifier in self._compact


def _stands_in(text: str, identifier: str) -> bool:
    at = text.find(identifier)
    while at >= 0:
        if _begins(text, at) and _ends(text, at + len(identifier)):
            return True
        at = text.find(identifier, at + 1)
    return False


def _begins(text: str, at: int) -> bool:
    """Say whether nothing before belongs to the same token but a scheme, `www.` or the sign of a name."""
    head = text[max(0, at - 12) : at]
    for lead in ("://www.", "://", "www.", "mailto:", "@", "#"):
        if head.endswith(lead):
            before = head[: -len(lead)][-1:]
            return lead not in {"@", "#", "www."} or not (before.isalnum() or before in _IN_A_TOKEN)
    return not (head[-1:].isalnum() or (head[-1:] != "" and head[-1] in "-_.@%+=~/&?"))


def _ends(text: str, at: int) -> bool:
    """Say whether the token ends here; a mark that ends a sentence does not carry it on."""
    after, next_one = text[at : at + 1], text[at + 1 : at + 2]
    return not after.isalnum() and not (after in _IN_A_TOKEN and after != "" and next_one.isalnum())


def _split(text: str) -> list[str]:
    """Give the addresses of a text that is nothing but a list of them, else the text as it is."""
    parts = [_bare(part) for part in "".join(" " if one in _PART else one for one in text).split()]
    parts = [part for part in parts if part]
    if len(parts) > 1 and all(is_address(part) for part in parts) and not _ACCOUNT.is_all_of(fold(text).text):
        return parts
    return [_bare(text)]


def _bare(text: str) -> str:
    """Give a text without what only quotes it; the brackets of a token are its own."""
    return text if _TOKEN.is_all_of(fold(text).text) else text.strip(_QUOTES)

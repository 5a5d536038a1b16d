"""JSON values as content-addressed payloads: a long text is stored once, however many values hold it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import is_
from typing import Any, cast
from zlib import crc32

from engine.records import PayloadRecord

LONG = 512
"""Texts of more characters than this become payloads of their own."""
SHORT = 160
"""JSON of at most this many characters stands where it is named, in place of the address of a payload."""

_MANY = 16  # a list of as many items is remembered, so that its growth is written and not the whole again
_SEVERAL = 5  # a shared list of as many items is written in blocks
_PER_BLOCK = 8  # items of a block, on average
_DEEPEST = 64  # how often a list may be written as the growth of another, until it is written whole
_MOST_REMEMBERED = 4096
_REFERENCE, _GROWN, _LITERAL = "$payload", "$grown", "$literal"
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_PLAIN = frozenset({type(None), bool, int, float})
_MARKS = frozenset({_REFERENCE, _GROWN, _LITERAL})


def canonical(value: Any) -> str:
    """Write JSON in its one form: sorted keys, no spaces.

    Raises:
        ValueError: the value holds NaN or infinity, or holds itself.
        TypeError: the value is not JSON.
    """
    return _encode(value)


def digest(value: Any) -> str:
    """Give the sha256 (hex) of a JSON value in its one form."""
    return _sha256(canonical(value))


def pack(value: Any) -> tuple[str, list[PayloadRecord]]:
    """Give the address of a value and the payloads that hold it, what it refers to first."""
    return Packer().pack(value)


class Shared(list[Any]):
    """A list of what many lists hold: its longer items are stored once, and so are stretches of it that others have."""


@dataclass(slots=True)
class _Growing:
    """A list that was packed, and may be packed again with more at its end."""

    items: list[Any]
    address: str
    depth: int


class Packer:
    """Packs one value after another, and gives only payloads that it has not given before.

    It remembers long texts and lists by identity: a text that many values hold is hashed once, and a list that has
    grown at its end since is written as its growth.
    """

    def __init__(self) -> None:
        self._texts: dict[int, tuple[str, str]] = {}
        self._lists: dict[int, _Growing] = {}
        self._given: set[str] = set()

    def pack(self, value: Any) -> tuple[str, list[PayloadRecord]]:
        """Give the address of a value and the new payloads that hold it, what it refers to first.

        Raises:
            ValueError: the value holds NaN or infinity, or holds itself.
            TypeError: the value is not JSON.
        """
        if type(value) is str and len(value) > LONG:
            texts: list[PayloadRecord] = []
            return self._text(value, texts), texts
        text, fresh = self._written(value)
        return self._give(text, fresh), fresh

    def name(self, value: Any) -> tuple[str, list[PayloadRecord]]:
        """Give what stands for a value in a column: its JSON where that is short, else its address; and new payloads.

        Raises:
            ValueError: the value holds NaN or infinity, or holds itself.
            TypeError: the value is not JSON.
        """
        text, fresh = self._written(value)
        return (text if len(text) <= SHORT else self._give(text, fresh)), fresh

    def _written(self, value: Any) -> tuple[str, list[PayloadRecord]]:
        """Write a value with references in it, and give the new payloads that these refer to."""
        fresh: list[PayloadRecord] = []
        try:
            return canonical(self._reduced(value, fresh, inside=False)), fresh
        except BaseException:
            self._given -= {payload.sha256 for payload in fresh}  # nobody gets them, so they were not given
            raise

    def _give(self, text: str, fresh: list[PayloadRecord]) -> str:
        address = _sha256(text)
        if address not in self._given:
            if len(self._given) >= _MOST_REMEMBERED:
                self._given.clear()
            self._given.add(address)
            fresh.append(PayloadRecord(sha256=address, content=text))
        return address

    def _reduced(self, value: Any, fresh: list[PayloadRecord], *, inside: bool = True) -> Any:
        """Give a value with its long texts and lists replaced by where they are."""
        kind = cast("type[Any]", type(value))
        if kind in _PLAIN:
            return value
        if kind is str:
            return {_REFERENCE: self._text(value, fresh)} if len(value) > LONG and inside else value
        if kind is list or isinstance(value, list | tuple):
            return self._items(cast("list[Any]", value), fresh, inside=inside)
        if kind is dict or isinstance(value, Mapping):
            fields = cast("Mapping[Any, Any]", value)
            plain = {
                key: inner if type(inner) in _PLAIN else self._reduced(inner, fresh) for key, inner in fields.items()
            }
            return plain if _MARKS.isdisjoint(plain) else {_LITERAL: plain}
        return value

    def _items(self, items: list[Any], fresh: list[PayloadRecord], *, inside: bool) -> Any:
        if type(items) is Shared and len(items) >= _SEVERAL:
            return self._shared(items, fresh)
        if len(items) >= _MANY:
            whole = self._list(items, fresh)
            return {_REFERENCE: self._give(canonical(whole), fresh)} if inside else whole
        return [self._reduced(inner, fresh) for inner in items]

    def _text(self, text: str, fresh: list[PayloadRecord]) -> str:
        known = self._texts.get(id(text))
        if known is not None and known[1] in self._given:
            return known[1]
        address = self._give(canonical(text), fresh)
        if len(self._texts) >= _MOST_REMEMBERED:
            self._texts.clear()
        self._texts[id(text)] = (text, address)  # the text is kept, so that its id stays its own
        return address

    def _shared(self, items: list[Any], fresh: list[PayloadRecord]) -> Any:
        """Write a list in blocks; an item ends one by what it is, so a list that begins elsewhere has the same ones."""
        blocks: list[str] = []
        block: list[Any] = []
        for inner in items:
            reduced = self._reduced(inner, fresh)
            text = canonical(reduced)
            block.append({_REFERENCE: self._give(text, fresh)} if len(text) > SHORT else reduced)
            if crc32(text.encode(errors="surrogatepass")) % _PER_BLOCK == 0:
                blocks.append(self._give(canonical(block), fresh))
                block = []
        return {_GROWN: blocks, "items": block} if blocks else block

    def _list(self, items: list[Any], fresh: list[PayloadRecord]) -> Any:
        before = self._lists.get(id(items[0]))
        if before is not None and before.address in self._given and before.depth < _DEEPEST:
            size = len(before.items)
            if size < len(items) and all(map(is_, before.items, items)):
                more = [self._reduced(inner, fresh) for inner in items[size:]]
                return self._remember(items, {_GROWN: before.address, "items": more}, before.depth + 1)
        return self._remember(items, [self._reduced(inner, fresh) for inner in items], 0)

    def _remember(self, items: list[Any], reduced: Any, depth: int) -> Any:
        if len(self._lists) >= _MOST_REMEMBERED:
            self._lists.clear()
        self._lists[id(items[0])] = _Growing(list(items), _sha256(canonical(reduced)), depth)
        return reduced


def is_address(name: str) -> bool:
    """Say whether what stands in a column is the address of a payload, and not JSON."""
    return len(name) == 64 and name[0] not in '{["-' and not name.isdecimal()


def addresses_in(name: str | None) -> set[str]:
    """Give the addresses that what stands in a column refers to directly."""
    if name is None:
        return set()
    return {name} if is_address(name) else references_in(name)


def unpack(sha256: str, read: Callable[[str], str]) -> Any:
    """Give the value at an address, or of the JSON in its place; `read` gives the content at an address."""
    return _resolved(json.loads(read(sha256) if is_address(sha256) else sha256), read)


def field_of(content: str, field: str) -> str | None:
    """Give what stands for a field of an object, from the content of its payload; None if it has no such field."""
    whole: Any = json.loads(content)
    fields = cast("dict[str, Any]", whole.get(_LITERAL, whole)) if isinstance(whole, dict) else {}
    return canonical(fields[field]) if field in fields else None


def references_in(content: str) -> set[str]:
    """Give the addresses that the content of a payload refers to."""
    found: set[str] = set()
    if _REFERENCE in content or _GROWN in content:
        _resolved(json.loads(content), lambda sha256: found.add(sha256) or "[]")
    return found


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _resolved(value: Any, read: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_resolved(inner, read) for inner in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    if _REFERENCE in fields:
        return _resolved(json.loads(read(fields[_REFERENCE])), read)
    if _GROWN in fields:
        return _grown(fields, read)
    inside = fields.get(_LITERAL, fields)
    return {key: _resolved(inner, read) for key, inner in inside.items()}


def _grown(fields: dict[str, Any], read: Callable[[str], str]) -> list[Any]:
    """Put a list together from what it grew by, the latest first; a chain is a loop, not a recursion.

    What it grew from is another list, by its address, or the blocks of a shared list.
    """
    parts: list[list[Any]] = []
    here: Any = fields
    while isinstance(here, dict):
        link = cast("dict[str, Any]", here)
        parts.append(cast("list[Any]", _resolved(link["items"], read)))
        before: str | list[str] = link[_GROWN]
        if isinstance(before, str):
            here = json.loads(read(before))
        else:
            here = [item for block in before for item in json.loads(read(block))]
    whole: list[Any] = _resolved(here, read)
    for part in reversed(parts):
        whole.extend(part)
    return whole

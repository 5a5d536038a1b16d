"""JSON values as content-addressed payloads: a long text is stored once, however many values hold it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from engine.records import PayloadRecord

LONG = 512
"""Texts of more characters than this become payloads of their own."""

_REFERENCE, _LITERAL = "$payload", "$literal"


def canonical(value: Any) -> str:
    """Write JSON in its one form: sorted keys, no spaces.

    Raises:
        ValueError: the value holds NaN or infinity, or holds itself.
        TypeError: the value is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Give the sha256 (hex) of a JSON value in its one form."""
    return _sha256(canonical(value))


def pack(value: Any) -> tuple[str, list[PayloadRecord]]:
    """Give the address of a value and the payloads that hold it, its long texts first."""
    text = canonical(value)
    payloads: list[PayloadRecord] = []
    if len(text) > LONG or _REFERENCE in text or _LITERAL in text:
        text = canonical(_with_references(value, payloads))
    payloads.append(_payload(text))
    return payloads[-1].sha256, payloads


def unpack(sha256: str, read: Callable[[str], str]) -> Any:
    """Give the value at an address; `read` gives the content at an address."""
    return _resolved(json.loads(read(sha256)), read)


def _payload(text: str) -> PayloadRecord:
    return PayloadRecord(sha256=_sha256(text), content=text)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _with_references(value: Any, payloads: list[PayloadRecord]) -> Any:
    if isinstance(value, str):
        if len(value) <= LONG:
            return value
        payload = _payload(canonical(value))
        payloads.append(payload)
        return {_REFERENCE: payload.sha256}
    if isinstance(value, Mapping):
        plain = {key: _with_references(inner, payloads) for key, inner in cast("Mapping[str, Any]", value).items()}
        return {_LITERAL: plain} if _REFERENCE in plain or _LITERAL in plain else plain
    if isinstance(value, list | tuple):
        return [_with_references(inner, payloads) for inner in cast("list[Any]", value)]
    return value


def _resolved(value: Any, read: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_resolved(inner, read) for inner in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    if _REFERENCE in fields:
        return json.loads(read(fields[_REFERENCE]))
    inside = fields.get(_LITERAL, fields)
    return {key: _resolved(inner, read) for key, inner in inside.items()}


def references_in(content: str) -> set[str]:
    """Give the addresses that the content of a payload refers to."""
    if _REFERENCE not in content:
        return set()
    found: set[str] = set()
    _resolved(json.loads(content), lambda sha256: found.add(sha256) or "null")
    return found

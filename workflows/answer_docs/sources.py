"""The sources that an answer cites, for people to read."""

from typing import Any, cast

import re2

_MARK = re2.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


def cited_sources(answer: str, passages: list[dict[str, Any]]) -> list[str]:
    """Give a line for each passage that the answer cites: `[1] title (source)`."""
    marks = cast("list[str]", _MARK.findall(answer))
    numbers = sorted({int(number) for mark in marks for number in mark.split(",")})
    return [_line(number, passages[number - 1]) for number in numbers if 1 <= number <= len(passages)]


def _line(number: int, passage: dict[str, Any]) -> str:
    title, source = passage.get("title") or "", passage.get("source") or passage.get("id") or ""
    return f"[{number}] {title} ({source})" if title else f"[{number}] {source}"

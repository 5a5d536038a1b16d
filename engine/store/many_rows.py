"""Many rows of a kind in one statement of PostgreSQL: alone, each would cost its own round of the protocol."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, count
from typing import Any

from engine.store.statements import Prepared, numbered

_PLACE = re.compile("%s::[A-Z]+(?: (?!WHERE)[A-Z]+)*")  # with the type of its value
_SIZES = (32, 16, 8, 4, 2)  # rows in a statement: so there are few texts, and the server remembers them


def statements(prepared: Prepared, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Give statements and their values that together write rows."""
    if prepared.key:  # one statement cannot write over a row twice
        rows = list({tuple(row[place] for place in prepared.key): row for row in rows}.values())
    start = 0
    for size in _SIZES:
        text = _text(prepared, size)
        while text and len(rows) - start >= size:
            yield text, list(chain.from_iterable(rows[start : start + size]))
            start += size
    for row in rows[start:]:
        yield prepared.sql, row


@lru_cache(maxsize=256)
def _text(prepared: Prepared, size: int) -> str:
    """Write a statement for so many rows; nothing if it is neither an insertion nor a deletion nor a plain change."""
    head, places, tail = prepared.parts
    if places:
        return numbered(head + ", ".join([f"({', '.join(places)})"] * size) + tail)
    head, where, condition = prepared.text.partition(" WHERE ")
    if head.startswith("DELETE"):
        return numbered(head + where + " OR ".join([condition] * size))
    return numbered(_changes(head, condition, size)) if head.startswith("UPDATE") else ""


def _changes(head: str, condition: str, size: int) -> str:
    """Write a change of many rows, each by its own values."""
    typed = ", ".join(_PLACE.findall(f"{head} WHERE {condition}"))
    names = count(1)
    head, condition = (_PLACE.sub(lambda _: f"given.v{next(names)}", part) for part in (head, condition))
    listed = ", ".join([f"({typed})"] * size)
    given = ", ".join(f"v{number}" for number in range(1, next(names)))
    return f"{head} FROM (VALUES {listed}) AS given ({given}) WHERE {condition}"

"""Reads a table of the ledger, rows by rows, so that what is held stays small however long it is."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    Float,
    Integer,
    LargeBinary,
    Select,
    Table,
    func,
    select,
)

from engine.errors import InputError
from engine.store import tables
from engine.store.payload_map import ASIDE
from engine.store.reader import texts_of, values_at

_NEVER = frozenset({"api_tokens.sha256"})
_CONTENT = {  # besides columns of payloads and of bytes
    *("cases.input", "cases.expected", "cases.recorded", "cache_entries.vector", "schedules.given"),
    *("questions.text", "versions.definition", "replay_batches.about"),
}
_PAYLOAD = "_payload"
_TIMES = ("started_at", "created_at", "asked_at", "emitted_at", "enqueued_at", "added_at", "began_at", "set_at", "at")
_ROWS_AT_ONCE = 5_000
_VALUES_AT_ONCE = 200  # rows of which texts are put together at once


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: its name, and whether it holds text, whole numbers, numbers, truths or times (in UTC)."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWanted:
    """Which rows of which table.

    Attributes:
        content: whether columns that hold what was said are read, put together where they refer to payloads.
        since: rows from then on, by the table's own time, else by the beginning of the run; `until` before then.
    """

    table: Table
    content: bool = False
    since: datetime | None = None
    until: datetime | None = None

    @property
    def columns(self) -> Sequence[TableColumn]:
        """The columns that are read."""
        return [TableColumn(column.name, _kind(column)) for column in self._read()]

    @property
    def left_out(self) -> Sequence[str]:
        """The columns that are not."""
        read = {column.name for column in self._read()}
        return [column.name for column in self.table.c if column.name not in read]

    def rows(self, connection: Connection) -> Iterator[list[tuple[Any, ...]]]:
        """Read rows, some at a time, in the order of the table's key."""
        streamed = connection.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE)
        holds_payloads = self.content and any(_is_payload(column) for column in self._read())
        result = streamed.execute(self._query())
        for some in result.partitions(_VALUES_AT_ONCE if holds_payloads else _ROWS_AT_ONCE):
            yield self._told(connection, some)

    def count(self, connection: Connection) -> int:
        """Count the rows."""
        return connection.scalar(select(func.count()).select_from(self._query().subquery())) or 0

    def _query(self) -> Select[Any]:
        named = {column.name: column for column in self.table.c}
        query = select(*self._read())
        if self.table is tables.payloads and self.content:
            query = query.add_columns(self.table.c.encoding.label("how"))
        at = next((named[name] for name in _TIMES if name in named), None)
        if at is None and (self.since or self.until):
            if "run_id" not in named:
                raise InputError(f"the table {self.table.name} tells no time: leave --since and --until out")
            query = query.join(tables.runs, tables.runs.c.run_id == named["run_id"])
            at = tables.runs.c.started_at
        if at is not None and self.since is not None:
            query = query.where(at >= self.since)
        if at is not None and self.until is not None:
            query = query.where(at < self.until)
        return query.order_by(*self.table.primary_key)

    def _read(self) -> list[Column[Any]]:
        return [
            column for column in self.table.c if _place(column) not in _NEVER and (self.content or not _holds(column))
        ]

    def _told(self, connection: Connection, rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Give rows as they are told: JSON as text, payloads put together."""
        read = self._read()
        by_column = [self._values(connection, column, place, rows) for place, column in enumerate(read)]
        return list(zip(*by_column, strict=True))

    def _values(self, connection: Connection, column: Column[Any], place: int, rows: Sequence[Any]) -> list[Any]:
        values = [row[place] for row in rows]
        if _is_payload(column):
            return [_json(value) for value in values_at(connection, values)]
        if isinstance(column.type, LargeBinary):
            if self.table is tables.payloads:
                addresses = [row.sha256.partition(ASIDE)[0] for row in rows]
                texts = texts_of((one, row.how, row.content) for one, row in zip(addresses, rows, strict=True))
                return [texts[one] for one in addresses]
            return [None if value is None else value.hex() for value in values]
        if isinstance(column.type, JSON):
            return [value if isinstance(value, str) else _json(value) for value in values]
        return values


def table_named(name: str) -> Table:
    """Give a table of the ledger.

    Raises:
        InputError: there is none of this name.
    """
    if name not in tables.metadata.tables:
        raise InputError(f"there is no table {name!r}: the ledger has {', '.join(sorted(tables.metadata.tables))}")
    return tables.metadata.tables[name]


def _place(column: Column[Any]) -> str:
    return f"{column.table.name}.{column.name}"


def _is_payload(column: Column[Any]) -> bool:
    return column.name.endswith(_PAYLOAD)


def _holds(column: Column[Any]) -> bool:
    """Say whether a column holds what was said."""
    return _is_payload(column) or isinstance(column.type, LargeBinary) or _place(column) in _CONTENT


def _kind(column: Column[Any]) -> str:
    kinds = {Boolean: "truth", Integer: "whole", Double: "number", Float: "number", DateTime: "time"}
    own = column.type.impl if isinstance(column.type, tables.UtcDateTime) else column.type
    return next((kind for known, kind in kinds.items() if isinstance(own, known)), "text")


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)

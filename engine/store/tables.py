"""The tables of the ledger: one column a field of its record, named like OpenTelemetry's GenAI attributes."""

import types
from dataclasses import Field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, get_args, get_type_hints

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)
from sqlalchemy.types import JSON, TypeDecorator, TypeEngine

from engine.records import (
    CallRecord,
    OutcomeRecord,
    RunRecord,
    StepRecord,
    VerdictRecord,
    VersionRecord,
)

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite keeps none of the zone, so it is put back when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Give an aware time."""
        del dialect
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def _table(name: str, record: type, *indexes: tuple[str, ...], key: str | None) -> Table:
    """Make the table of a record; one without a key of its own gets a running number."""
    hints = get_type_hints(record)
    columns: list[Column[Any]] = [] if key else [Column("id", Integer, primary_key=True, autoincrement=True)]
    columns += [_column(field, hints[field.name], key=field.name == key) for field in fields(record)]
    table = Table(name, metadata, *columns)
    for index in indexes:
        Index(f"ix_{name}_{'_'.join(index)}", *(table.c[column] for column in index))
    return table


def _column(field: "Field[Any]", hint: Any, *, key: bool) -> Column[Any]:
    optional = isinstance(hint, types.UnionType)
    kind = next(arg for arg in get_args(hint) if arg is not type(None)) if optional else hint
    return Column(field.name, _type_of(kind), primary_key=key, nullable=optional)


def _type_of(kind: Any) -> TypeEngine[Any]:
    if isinstance(kind, type) and issubclass(kind, StrEnum | str):
        return String()
    kinds: dict[Any, TypeEngine[Any]] = {
        bool: Boolean(),
        int: BigInteger(),
        float: Double(),
        datetime: UtcDateTime(),
    }
    return kinds.get(kind) or JSON()


payloads = Table(
    "payloads",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("encoding", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
versions = _table("versions", VersionRecord, key="version")
runs = _table("runs", RunRecord, ("status", "started_at"), ("workflow", "started_at"), ("tenant",), key="run_id")
steps = _table("steps", StepRecord, ("run_id",), key="step_id")
calls = _table("calls", CallRecord, ("run_id",), ("step_id",), key="call_id")
verdicts = _table("verdicts", VerdictRecord, ("run_id",), key=None)
outcomes = _table("outcomes", OutcomeRecord, ("run_id",), key=None)

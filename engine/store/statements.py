"""Every statement that the writer makes, in the order of a transaction, and how records become rows."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, auto
from functools import cache
from operator import attrgetter
from typing import Any, cast

from sqlalchemy import Delete, Dialect, Insert, Table, Update, bindparam, delete, insert, null, update
from sqlalchemy.dialects import postgresql, sqlite

from engine.queue_records import LaneRecord, QueueEntryRecord
from engine.records import (
    BreakerRecord,
    CacheEntryRecord,
    CallRecord,
    EventRecord,
    GuardTimeRecord,
    OutcomeRecord,
    PayloadRecord,
    QuestionRecord,
    RunRecord,
    StepRecord,
    VerdictRecord,
    VersionRecord,
    WorkerRecord,
)
from engine.store import tables

_PLAIN = 512  # bytes up to which a payload is kept as it is


class Kind(IntEnum):
    """What a row is for; a transaction writes kind after kind, as they stand here."""

    RUN = auto()
    VERSION = auto()
    PAYLOAD = auto()
    WORKER = auto()
    BREAKER = auto()
    CACHE_ENTRY = auto()
    LANE = auto()
    QUEUE_ENTRY = auto()
    CALL = auto()
    STEP = auto()
    QUESTION = auto()
    EVENT = auto()
    VERDICT = auto()
    GUARD_TIME = auto()
    OUTCOME = auto()
    BLOB = auto()
    WRITE = auto()
    SPECIAL_WRITE = auto()
    CHECKPOINT = auto()
    SUPERSEDED_CHECKPOINT = auto()
    SUPERSEDED_WRITES = auto()
    ENDED_WRITES = auto()
    ENDED_BLOBS = auto()
    ENDED_CHECKPOINTS = auto()
    ENDED_STREAM = auto()
    ENTRY_LEFT = auto()
    ENTRY_ENDED = auto()
    FINISHED_RUN = auto()


@dataclass(frozen=True, slots=True)
class EntryLeft:
    """A queued run that is worked on no longer: from when on it may be taken again; None while it waits.

    The names are those of the statement's values, since columns have the plain ones.
    """

    of_run_id: str
    left_until: datetime | None


@dataclass(frozen=True, slots=True)
class EntryEnded:
    """A queued run that has come to its end."""

    of_run_id: str


@dataclass(slots=True)
class Row:
    """One row of a checkpoint; it names its stream, and the writer fills in the number.

    Attributes:
        stream: (thread id, namespace).
    """

    kind: Kind
    values: dict[str, Any]
    stream: tuple[str, str]


ENDED = "ended_"  # what the values of a run that ended are called, since a column has the plain name
_FINISHED = (
    *("version", "status", "ended_at", "duration_ns", "output_payload", "bundle_payload", "budget_payload"),
    *("steps", "calls"),
    *("error_type", "error_message", "error_node", "usage_input_tokens", "usage_output_tokens", "cost_nano_usd"),
)
Statement = Insert | Update | Delete
KINDS: Mapping[type, Kind] = {
    RunRecord: Kind.RUN,
    VersionRecord: Kind.VERSION,
    PayloadRecord: Kind.PAYLOAD,
    WorkerRecord: Kind.WORKER,
    BreakerRecord: Kind.BREAKER,
    CacheEntryRecord: Kind.CACHE_ENTRY,
    LaneRecord: Kind.LANE,
    QueueEntryRecord: Kind.QUEUE_ENTRY,
    EntryLeft: Kind.ENTRY_LEFT,
    EntryEnded: Kind.ENTRY_ENDED,
    CallRecord: Kind.CALL,
    StepRecord: Kind.STEP,
    QuestionRecord: Kind.QUESTION,
    EventRecord: Kind.EVENT,
    VerdictRecord: Kind.VERDICT,
    GuardTimeRecord: Kind.GUARD_TIME,
    OutcomeRecord: Kind.OUTCOME,
}


class Prepared:
    """A statement as the driver takes it: compiled once, with values in the order of its places.

    SQLAlchemy would build a dictionary a row and walk it; that is half of what a row costs.

    Attributes:
        text: with `%s` for each place on PostgreSQL, so that it can be part of another.
        sql: what is executed.
    """

    def __init__(self, statement: Statement, dialect: type[Dialect]) -> None:
        positional = dialect(paramstyle="qmark" if dialect.name == "sqlite" else "format")  # type: ignore[call-arg]
        compiled = statement.compile(dialect=positional)
        self.text = str(compiled)
        self.sql = self.text if dialect.name == "sqlite" else numbered(self.text)
        self.names: Sequence[str] = compiled.positiontup or ()
        self.parts = _parts(self.text)
        self.key = _key_of(statement, self.names) if " DO UPDATE " in self.text else ()
        found = [compiled.binds[name].type.dialect_impl(positional).bind_processor(positional) for name in self.names]
        self._processors = [(place, make) for place, make in enumerate(found) if make is not None]

    def of(self, values: Mapping[str, Any]) -> Sequence[Any]:
        """Give the values of a row by their names in the order of the places."""
        return self._processed([values[name] for name in self.names])

    def maker(self, prefix: str = "") -> Callable[[Any], Sequence[Any]]:
        """Give a function that takes the values of a row off a record."""
        get: Any = attrgetter(*(name.removeprefix(prefix) for name in self.names))
        if len(self.names) == 1:
            return lambda record: self._processed([get(record)])
        return lambda record: self._processed(list(get(record)))

    def _processed(self, values: list[Any]) -> Sequence[Any]:
        for place, make in self._processors:
            values[place] = make(values[place])
        return values


def numbered(text: str) -> str:
    """Number the places of a statement as PostgreSQL wants them; else psycopg would, each time."""
    first, *rest = text.split("%s")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))


def _key_of(statement: Statement, names: Sequence[str]) -> Sequence[int]:
    """Give the places of the values by which a row is known."""
    return [names.index(column.name) for column in cast("Table", statement.table).primary_key]


def _parts(sql: str) -> tuple[str, Sequence[str], str]:
    """Take an insertion apart: what comes before its values, a place for each of them, and what follows."""
    head, values, rest = sql.partition(" VALUES (")
    listed, _, tail = rest.partition(")")
    return f"{head}{values[:-1]}", listed.split(", ") if listed else (), tail


@cache
def prepared(dialect: type[Dialect]) -> Mapping[Kind, Prepared]:
    """Prepare every statement, once a process for each dialect."""
    made = _statements(is_sqlite=dialect.name == "sqlite")
    return {kind: Prepared(statement, dialect) for kind, statement in made.items()}


def _statements(*, is_sqlite: bool) -> dict[Kind, Statement]:
    upsert = upsert_of("sqlite" if is_sqlite else "postgresql")

    def once(table: Table) -> Insert:
        return insert_once(table, "sqlite" if is_sqlite else "postgresql")

    def over(table: Table) -> Insert:
        made = upsert(table)
        keys = [column.name for column in table.primary_key]
        rest = {column.name: made.excluded[column.name] for column in table.columns if column.name not in keys}
        return made.on_conflict_do_update(index_elements=keys, set_=rest)

    return {
        Kind.VERSION: once(tables.versions),
        Kind.PAYLOAD: once(tables.payloads),
        Kind.WORKER: over(tables.workers),
        Kind.CALL: over(tables.calls),
        Kind.STEP: once(tables.steps),
        Kind.QUESTION: over(tables.questions),
        Kind.EVENT: once(tables.events),
        Kind.VERDICT: _numbered(tables.verdicts),
        Kind.GUARD_TIME: _numbered(tables.guard_times),
        Kind.OUTCOME: _numbered(tables.outcomes),
        Kind.BLOB: once(tables.checkpoint_blobs),
        Kind.WRITE: once(tables.checkpoint_writes),
        Kind.SPECIAL_WRITE: over(tables.checkpoint_writes),
        Kind.CHECKPOINT: over(tables.checkpoints),
        Kind.SUPERSEDED_CHECKPOINT: _of_checkpoint(tables.checkpoints),
        Kind.SUPERSEDED_WRITES: _of_checkpoint(tables.checkpoint_writes),
        Kind.ENDED_WRITES: _of_stream(tables.checkpoint_writes),
        Kind.ENDED_BLOBS: _of_stream(tables.checkpoint_blobs),
        Kind.ENDED_CHECKPOINTS: _of_stream(tables.checkpoints),
        Kind.ENDED_STREAM: _of_stream(tables.checkpoint_streams),
        Kind.BREAKER: over(tables.breakers),
        Kind.CACHE_ENTRY: over(tables.cache_entries),
        Kind.LANE: once(tables.lanes),
        Kind.QUEUE_ENTRY: once(tables.queue_entries),
        Kind.ENTRY_LEFT: _leave_entry(),
        Kind.ENTRY_ENDED: delete(tables.queue_entries).where(tables.queue_entries.c.run_id == bindparam("of_run_id")),
        Kind.RUN: insert(tables.runs),
        Kind.FINISHED_RUN: _finish(),
    }


def upsert_of(dialect: str) -> Any:
    """Give the insertion of a dialect, which can say what happens with rows that are there already."""
    return sqlite.insert if dialect == "sqlite" else postgresql.insert


def insert_once(table: Table, dialect: str) -> Insert:
    """Insert rows that may be there already."""
    return upsert_of(dialect)(table).on_conflict_do_nothing()


def _numbered(table: Table) -> Insert:
    """Insert rows to which the database gives a number."""
    return insert(table).values(
        {column.name: bindparam(column.name) for column in table.columns if column.name != "id"}
    )


def _of_checkpoint(table: Table) -> Delete:
    return delete(table).where(table.c.sid == bindparam("of_sid"), table.c.checkpoint_id == bindparam("of_checkpoint"))


def _of_stream(table: Table) -> Delete:
    return delete(table).where(table.c.sid == bindparam("of_sid"))


def _leave_entry() -> Update:
    entries = tables.queue_entries
    until = bindparam("left_until", type_=entries.c.available_at.type)
    return update(entries).where(entries.c.run_id == bindparam("of_run_id")).values(available_at=until, taken_at=null())


def _finish() -> Update:
    """Write over a run's row all but what others may have changed meanwhile."""
    columns: dict[str, Any] = {name: bindparam(f"{ENDED}{name}") for name in _FINISHED}
    return update(tables.runs).where(tables.runs.c.run_id == bindparam(f"{ENDED}run_id")).values(columns)


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run whose row is written over with how it ended."""

    record: RunRecord


def payload_row(record: PayloadRecord) -> dict[str, Any]:
    """Give the row of a payload, compressed where that pays."""
    content = record.content.encode(errors="surrogatepass")
    plain = len(content) <= _PLAIN
    return {
        "sha256": record.sha256,
        "encoding": "identity" if plain else "zlib",
        "size": len(content),
        "content": content if plain else zlib.compress(content, 1),
    }


def cleaned(values: Sequence[Any]) -> Sequence[Any]:
    """Replace what databases refuse in texts: NUL, and halves of surrogate pairs."""
    return [
        value.replace("\0", "\ufffd").encode(errors="replace").decode() if isinstance(value, str) else value
        for value in values
    ]

"""Every statement that the writer makes, in the order of a transaction, and how records become rows."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum, auto
from operator import attrgetter
from typing import Any

from sqlalchemy import Delete, Insert, Table, Update, bindparam, delete, insert, update
from sqlalchemy.dialects import postgresql, sqlite

from engine.records import (
    CallRecord,
    OutcomeRecord,
    PayloadRecord,
    RunRecord,
    StepRecord,
    VerdictRecord,
    VersionRecord,
    WorkerRecord,
)
from engine.store import tables

_PLAIN = 512  # bytes up to which a payload is kept as it is


class Kind(Enum):
    """What a row is for; a transaction writes kind after kind, as they stand here."""

    VERSION = auto()
    PAYLOAD = auto()
    WORKER = auto()
    CALL = auto()
    STEP = auto()
    VERDICT = auto()
    OUTCOME = auto()
    BLOB = auto()
    WRITE = auto()
    SPECIAL_WRITE = auto()
    CHECKPOINT = auto()
    SUPERSEDED_WRITES = auto()
    ENDED_WRITES = auto()
    ENDED_CHECKPOINTS = auto()
    ENDED_STREAM = auto()
    FINISHED_RUN = auto()


@dataclass(frozen=True, slots=True)
class Row:
    """One row to be written; a row of checkpoints names its stream, and the writer fills in the number.

    Attributes:
        stream: (thread id, namespace).
    """

    kind: Kind
    values: dict[str, Any]
    stream: tuple[str, str] | None = None


Statement = Insert | Update | Delete
KINDS: Mapping[type, Kind] = {
    VersionRecord: Kind.VERSION,
    PayloadRecord: Kind.PAYLOAD,
    WorkerRecord: Kind.WORKER,
    CallRecord: Kind.CALL,
    StepRecord: Kind.STEP,
    VerdictRecord: Kind.VERDICT,
    OutcomeRecord: Kind.OUTCOME,
}


def statements(*, is_sqlite: bool) -> dict[Kind, Statement]:
    """Make each statement once."""
    upsert: Any = sqlite.insert if is_sqlite else postgresql.insert

    def once(table: Table) -> Insert:
        return upsert(table).on_conflict_do_nothing()

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
        Kind.VERDICT: insert(tables.verdicts),
        Kind.OUTCOME: insert(tables.outcomes),
        Kind.BLOB: once(tables.checkpoint_blobs),
        Kind.WRITE: once(tables.checkpoint_writes),
        Kind.SPECIAL_WRITE: over(tables.checkpoint_writes),
        Kind.CHECKPOINT: over(tables.checkpoints),
        Kind.SUPERSEDED_WRITES: delete(tables.checkpoint_writes).where(
            tables.checkpoint_writes.c.sid == bindparam("of_sid"),
            tables.checkpoint_writes.c.checkpoint_id == bindparam("of_checkpoint"),
        ),
        Kind.ENDED_WRITES: _of_stream(tables.checkpoint_writes),
        Kind.ENDED_CHECKPOINTS: _of_stream(tables.checkpoints),
        Kind.ENDED_STREAM: _of_stream(tables.checkpoint_streams),
        Kind.FINISHED_RUN: _finish(),
    }


def _of_stream(table: Table) -> Delete:
    return delete(table).where(table.c.sid == bindparam("of_sid"))


def _finish() -> Update:
    """Write over a run's row all but what others may have changed meanwhile."""
    names = [name for name in _FINISHED if name != "run_id"]
    columns: dict[str, Any] = {name: bindparam(name) for name in names}
    return update(tables.runs).where(tables.runs.c.run_id == bindparam("this_run")).values(columns)


_OTHERS = {"fence", "worker_id", "claimed_at", "cancel_requested_at"}
_FINISHED = [column.name for column in tables.runs.columns if column.name not in _OTHERS]


def row_maker(record: type, names: list[str] | None = None) -> Callable[[Any], dict[str, Any]]:
    """Give a function that turns records of a class into rows."""
    chosen = tuple(names or [one.name for one in fields(record)])
    values = attrgetter(*chosen)
    return lambda one: dict(zip(chosen, values(one), strict=True))


run_row = row_maker(RunRecord)
_finished_row = row_maker(RunRecord, _FINISHED)


def finished_run(record: RunRecord) -> Row:
    """Give the row that says how a run ended."""
    values = _finished_row(record)
    return Row(Kind.FINISHED_RUN, values | {"this_run": values.pop("run_id")})


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


def cleaned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Replace what databases refuse in texts: NUL, and halves of surrogate pairs."""
    return {
        name: value.replace("\0", "\ufffd").encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in values.items()
    }

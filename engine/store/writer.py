"""The one writer of a process: a thread that commits everything that is waiting as one transaction."""

import asyncio
import contextlib
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field, fields
from operator import attrgetter
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Connection, Insert, Table, Update, bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, SQLAlchemyError

from engine.errors import StoreError
from engine.records import (
    CallRecord,
    OutcomeRecord,
    PayloadRecord,
    Record,
    RunRecord,
    StepRecord,
    VerdictRecord,
    VersionRecord,
)
from engine.store import tables
from engine.store.database import Database

_MOST = 512  # submissions in one transaction
_PLAIN = 512  # bytes up to which a payload is kept as it is
_LOCKED_WAITS = (0.05, 0.2, 1.0)  # seconds between attempts at a locked database, after SQLite's own waiting

_TABLES: dict[type, Table] = {
    VersionRecord: tables.versions,
    RunRecord: tables.runs,
    StepRecord: tables.steps,
    CallRecord: tables.calls,
    VerdictRecord: tables.verdicts,
    OutcomeRecord: tables.outcomes,
}
_FINISH = "finish"


@dataclass(slots=True)
class _Submission:
    """Records that commit together, and who waits for them."""

    records: Sequence[Record]
    finish: RunRecord | None = None
    done: "Future[None] | None" = None
    error: Exception | None = field(default=None)


class Writer:
    """Queues records and commits them in groups, in order; what was submitted together commits together."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: SimpleQueue[_Submission | None] = SimpleQueue()
        self._connection: Connection | None = None
        self._lost: StoreError | None = None
        self._statements = _statements(database.is_sqlite)
        self._rows = {record: _row_maker(record) for record in _TABLES}
        self._thread = threading.Thread(target=self._work, name="flowledger-writer", daemon=True)
        self._thread.start()

    def submit(self, records: Iterable[Record]) -> None:
        """Queue records; returns at once. A failure shows at the next commit."""
        self._queue.put(_Submission(list(records)))

    async def commit(self, records: Iterable[Record] = (), finish: RunRecord | None = None) -> None:
        """Queue records and wait until they and all before them are durable.

        Args:
            records: rows to insert.
            finish: a run whose row is written over.

        Raises:
            StoreError: the database refused these records, or some that were submitted before.
        """
        done: Future[None] = Future()
        self._queue.put(_Submission(list(records), finish, done))
        await asyncio.wrap_future(done)

    def close(self) -> None:
        """Write what is queued, and end.

        Raises:
            StoreError: records that nobody waited for could not be written.
        """
        self._queue.put(None)
        self._thread.join()
        if self._lost is not None:
            raise self._lost

    def _work(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._next_batch()
            if batch:
                self._write(batch)
                self._wake(batch)
        self._disconnect()

    def _next_batch(self) -> tuple[list[_Submission], bool]:
        first = self._queue.get()
        if first is None:
            return [], True
        batch = [first]
        while len(batch) < _MOST and not self._queue.empty():
            following = self._queue.get()
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False

    def _write(self, batch: Sequence[_Submission]) -> None:
        """Write a batch as one transaction; if one row is refused, each submission alone."""
        rows = self._grouped(batch)
        try:
            try:
                self._transaction(rows)
            except (DataError, UnicodeEncodeError, ValueError):  # a text that no column can hold
                self._transaction({kind: [_cleaned(row) for row in values] for kind, values in rows.items()})
        except IntegrityError as error:
            if len(batch) == 1:
                batch[0].error = error
                return
            for one in batch:
                self._write([one])
        except Exception as error:  # whatever it is, those who wait must hear of it
            self._disconnect()
            for one in batch:
                one.error = error

    def _transaction(self, rows: Mapping[Any, list[dict[str, Any]]]) -> None:
        for wait in (*_LOCKED_WAITS, None):
            try:
                connection = self._connected()
                with connection.begin():
                    for statement, values in rows.items():
                        connection.execute(self._statements[statement], values)
            except OperationalError as error:
                if wait is None or "locked" not in str(error):
                    raise
                time.sleep(wait)
            else:
                return

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._database.engine.connect().execution_options(writes=True)
        return self._connection

    def _disconnect(self) -> None:
        """Let a connection go; the next batch makes a new one."""
        if self._connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                self._connection.close()
        self._connection = None

    def _grouped(self, batch: Sequence[_Submission]) -> Mapping[Any, list[dict[str, Any]]]:
        """Gather rows a statement: payloads first, updates of runs last."""
        groups: dict[Any, list[dict[str, Any]]] = {PayloadRecord: []}
        finished: list[dict[str, Any]] = []
        for submission in batch:
            for record in submission.records:
                kind = type(record)
                row = _payload_row(record) if isinstance(record, PayloadRecord) else self._rows[kind](record)
                groups.setdefault(kind, []).append(row)
            if submission.finish is not None:
                row = self._rows[RunRecord](submission.finish)
                finished.append({**row, "this_run": row["run_id"]})
        if finished:
            groups[_FINISH] = finished
        return {kind: values for kind, values in groups.items() if values}

    def _wake(self, batch: Sequence[_Submission]) -> None:
        """Tell those who wait; what nobody waits for and was lost is told to the next who does."""
        for one in batch:
            error = self._as_store_error(one.error)
            if one.done is None:
                self._lost = self._lost or error
                continue
            error = error or self._lost
            self._lost = None
            with contextlib.suppress(InvalidStateError):  # who waited has been cancelled meanwhile
                one.done.set_exception(error) if error is not None else one.done.set_result(None)

    def _as_store_error(self, error: Exception | None) -> StoreError | None:
        if error is None or isinstance(error, StoreError):
            return error
        if isinstance(error, SQLAlchemyError):
            return self._database.error(error)
        return StoreError(f"the ledger could not be written: {type(error).__name__}: {error}")


def _statements(is_sqlite: bool) -> dict[Any, Insert | Update]:
    """Make each statement once; what is addressed by content may be there already."""
    insert_or_ignore = sqlite.insert if is_sqlite else postgresql.insert
    statements: dict[Any, Insert | Update] = {
        PayloadRecord: insert_or_ignore(tables.payloads).on_conflict_do_nothing(),
        VersionRecord: insert_or_ignore(tables.versions).on_conflict_do_nothing(),
    }
    statements |= {record: insert(table) for record, table in _TABLES.items() if record not in statements}
    names = [column.name for column in tables.runs.columns if column.name != "run_id"]
    columns: dict[str, Any] = {name: bindparam(name) for name in names}
    statements[_FINISH] = update(tables.runs).where(tables.runs.c.run_id == bindparam("this_run")).values(columns)
    return statements


def _row_maker(record: type) -> Callable[[Any], dict[str, Any]]:
    names = tuple(one.name for one in fields(record))
    values = attrgetter(*names)
    return lambda one: dict(zip(names, values(one), strict=True))


def _cleaned(row: Mapping[str, Any]) -> dict[str, Any]:
    """Replace what databases refuse in texts: NUL, and halves of surrogate pairs."""
    return {
        name: value.replace("\0", "\ufffd").encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }


def _payload_row(record: PayloadRecord) -> dict[str, Any]:
    content = record.content.encode(errors="surrogatepass")
    plain = len(content) <= _PLAIN
    return {
        "sha256": record.sha256,
        "encoding": "identity" if plain else "zlib",
        "size": len(content),
        "content": content if plain else zlib.compress(content, 1),
    }

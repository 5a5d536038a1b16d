"""A batch becomes a transaction: runs begin, fences are checked, and what is left is written kind after kind."""

import json
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence, Set
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError

from engine.errors import LeaseLost
from engine.records import PayloadRecord, Record, RunRecord
from engine.store.many_rows import statements
from engine.store.one_statement import Composer, OneStatement, new_stream
from engine.store.statements import (
    ENDED,
    KINDS,
    EntryEnded,
    EntryLeft,
    FinishedRun,
    Kind,
    Row,
    cleaned,
    payload_row,
    prepared,
)

Stream = tuple[str, str]
Writable = Record | Row | FinishedRun | EntryLeft | EntryEnded
_OF_JSON_SQLITE = "IN (SELECT value FROM json_each(?))"
_OF_JSON_POSTGRES = "= ANY(ARRAY(SELECT json_array_elements_text($1::json)))"
_NAMED_SQLITE = "SELECT value ->> 0, value ->> 1 FROM json_each(?) WHERE true"
_NAMED_POSTGRES = "SELECT * FROM unnest($1::text[], $2::text[])"
_MOST_REMEMBERED = 10_000  # streams
_ROW_BYTES = 512  # about what a row holds
_NUMBERED = frozenset({Kind.VERDICT, Kind.GUARD_TIME, Kind.OUTCOME})  # writing these twice would make two rows
_FEW = 8  # rows that are written as one statement; more make shapes that the server has not seen
_OF_CHECKPOINT = frozenset({Kind.CHECKPOINT, Kind.WRITE, Kind.SPECIAL_WRITE})
_ENDED = frozenset(
    {
        Kind.SUPERSEDED_CHECKPOINT,
        Kind.SUPERSEDED_WRITES,
        Kind.ENDED_WRITES,
        Kind.ENDED_BLOBS,
        Kind.ENDED_CHECKPOINTS,
        Kind.ENDED_STREAM,
    }
)


@dataclass(slots=True)
class Submission:
    """Rows that commit together, looked at once.

    Attributes:
        fence: (run id, fence) that the run's row must still say; None for what belongs to no run.
        done: who waits: a future of an event loop, or of threads.
        size: about how many bytes they hold; what is large is a payload.
        begun: runs that begin with them.
        checkpoints: those of them that are parts of checkpoints.
        is_numbered: whether the database gives numbers to some, so that writing these twice would make two rows.
        ends: whether the run comes to its end.
    """

    rows: Sequence[Writable]
    fence: tuple[str, int] | None = None
    done: Any = None
    error: Exception | None = field(default=None)
    size: int = field(init=False)
    begun: list[RunRecord] = field(init=False)
    checkpoints: list[Row] = field(init=False)
    is_numbered: bool = field(init=False, default=False)
    ends: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.size, self.begun, self.checkpoints = _ROW_BYTES * len(self.rows), [], []
        for row in self.rows:
            kind = type(row)
            if kind is PayloadRecord:
                self.size += len(row.content)  # type: ignore[union-attr] # this one has a content
            elif kind is Row:
                self.checkpoints.append(cast("Row", row))
            elif kind is RunRecord:
                self.begun.append(cast("RunRecord", row))
            elif kind is FinishedRun:
                self.ends = True
            elif KINDS.get(kind) in _NUMBERED:
                self.is_numbered = True

    @property
    def is_idempotent(self) -> bool:
        """Whether writing it a second time changes nothing."""
        return not (self.is_numbered or self.begun)


class Batches:
    """Writes batches over a connection whose transaction has begun."""

    def __init__(self, dialect: Dialect) -> None:
        self._prepared = prepared(type(dialect))
        self._makers: dict[type, Callable[[Any], Sequence[Any]]] = {
            record: self._prepared[kind].maker() for record, kind in KINDS.items() if record is not PayloadRecord
        }
        payload = self._prepared[Kind.PAYLOAD]
        self._makers[PayloadRecord] = lambda record: payload.of(payload_row(record))
        self._finished = self._prepared[Kind.FINISHED_RUN].maker(prefix=ENDED)
        self._composer = Composer(self._prepared)
        self._is_sqlite = dialect.name == "sqlite"
        among = _OF_JSON_SQLITE if self._is_sqlite else _OF_JSON_POSTGRES
        lock = "" if self._is_sqlite else " ORDER BY run_id FOR SHARE"  # it must still hold when this commits
        self._fences = f"SELECT run_id, fence FROM runs WHERE run_id {among}{lock}"  # noqa: S608 - no user text
        self._streams = f"SELECT thread_id, checkpoint_ns, sid FROM checkpoint_streams WHERE thread_id {among}"  # noqa: S608
        self._begin_streams = (
            "INSERT INTO checkpoint_streams (thread_id, checkpoint_ns) "
            f"{_NAMED_SQLITE if self._is_sqlite else _NAMED_POSTGRES} "
            "ON CONFLICT (thread_id, checkpoint_ns) DO UPDATE SET thread_id = excluded.thread_id "
            "RETURNING thread_id, checkpoint_ns, sid"
        )
        self._numbers: dict[Stream, int] = {}
        self._learnt: dict[Stream, int] = {}
        self.fenced = 0

    def write(self, connection: Connection, batch: Sequence[Submission], *, clean: bool = False) -> None:
        """Write a batch; submissions under a stale fence are left out and told so."""
        self._learnt = {}
        with self._driver(connection) as cursor:
            self._execute(cursor, Kind.RUN, self._runs(batch), clean=clean)
            self._check_fences(cursor, batch)
            valid = [one for one in batch if one.error is None]
            groups = self._by_kind(valid, self._stream_numbers(cursor, valid))
            for kind in sorted(groups):
                self._execute(cursor, kind, groups[kind], clean=clean)

    def as_one(self, batch: Sequence[Submission]) -> OneStatement | None:
        """Give a small batch as one statement; None on SQLite, and where its parts depend on one another."""
        many = sum(len(one.rows) for one in batch)
        if self._is_sqlite or not 0 < many <= _FEW or any(one.is_numbered for one in batch):
            return None
        begun = {row.run_id for one in batch for row in one.begun}
        fences = {one.fence for one in batch if one.fence is not None and one.fence[0] not in begun}
        checkpoints = [row for one in batch for row in one.checkpoints]
        streams = {row.stream for row in checkpoints}
        unknown = streams - self._numbers.keys()
        free = any(one.fence is None and one.checkpoints for one in batch)
        twice = len({run_id for run_id, _ in fences}) < len(fences)
        if free or twice or len(unknown) > 1 or _depends(checkpoints, unknown):
            return None
        numbers = {stream: self._numbers.get(stream, new_stream()) for stream in streams}
        groups = self._by_kind(batch, numbers)
        if begun:
            groups[Kind.RUN] = self._runs(batch)
        return self._composer.compose(groups, dict(fences), next(iter(unknown), None))

    def execute(self, connection: Connection, one: OneStatement) -> None:
        """Write such a batch."""
        with self._cursor(connection) as cursor, self._as_ours(connection):
            cursor.execute(one.sql, one.values)
            self.learn(one, cursor.fetchone())

    def learn(self, one: OneStatement, row: Any) -> None:
        """Take the number of a stream that began off the row that came back."""
        self._learnt = {} if one.begins is None else {one.begins: row[1]}

    def committed(self, batch: Sequence[Submission]) -> None:
        """Remember the streams of the runs that were written; nobody else can end them while their fences hold."""
        if len(self._numbers) > _MOST_REMEMBERED:
            self._numbers.clear()
        self._numbers |= self._learnt
        ended = {one.fence[0] for one in batch if one.fence is not None and (one.error is not None or one.ends)}
        for stream in [stream for stream in self._numbers if stream[0] in ended]:
            del self._numbers[stream]

    @contextmanager
    def _driver(self, connection: Connection) -> Generator[Any]:
        """Give the driver's own cursor, in one round trip where it can; its errors are SQLAlchemy's, as everywhere."""
        raw: Any = connection.connection.driver_connection
        at_once = nullcontext() if self._is_sqlite else raw.pipeline()
        with self._as_ours(connection), at_once, self._cursor(connection) as cursor:
            yield cursor

    def _cursor(self, connection: Connection) -> closing[Any]:
        raw: Any = connection.connection.driver_connection
        if self._is_sqlite:
            return closing(raw.cursor())
        from psycopg import RawCursor  # PostgreSQL's driver is an extra

        return closing(RawCursor(raw))

    @contextmanager
    def _as_ours(self, connection: Connection) -> Generator[None]:
        raw, dialect = connection.connection, connection.dialect
        errors: Any = dialect.loaded_dbapi.Error
        try:
            yield
        except errors as error:
            lost = dialect.is_disconnect(error, cast("Any", raw), None)
            raise DBAPIError.instance(
                None, None, error, errors, connection_invalidated=lost, dialect=dialect
            ) from error

    def _execute(self, cursor: Any, kind: Kind, rows: list[Sequence[Any]], *, clean: bool) -> None:
        rows = [cleaned(row) for row in rows] if clean else rows
        if self._is_sqlite and len(rows) > 1:
            cursor.executemany(self._prepared[kind].sql, rows)
            return
        for sql, values in statements(self._prepared[kind], rows):
            cursor.execute(sql, values)

    def _check_fences(self, cursor: Any, batch: Sequence[Submission]) -> None:
        held = {one.fence[0] for one in batch if one.fence is not None}
        found: Mapping[str, int] = {}
        if held:
            cursor.execute(self._fences, (_json(held),))
            found = dict(cursor.fetchall())
        for one in batch:
            one.error = None
            if one.fence is not None and found.get(one.fence[0]) != one.fence[1]:
                self.fenced += 1
                one.error = LeaseLost(
                    f"the run {one.fence[0]} has gone to another process: nothing more of it is written here"
                )

    def _runs(self, batch: Sequence[Submission]) -> list[Sequence[Any]]:
        make = self._makers[RunRecord]
        return [make(row) for one in batch for row in one.begun]

    def _by_kind(self, batch: Sequence[Submission], numbers: Mapping[Stream, Any]) -> dict[Kind, list[Sequence[Any]]]:
        groups: defaultdict[Kind, list[Sequence[Any]]] = defaultdict(list)
        for one in batch:
            for row in one.checkpoints:
                number = numbers.get(row.stream)
                if number is None:
                    continue  # the end of a stream that never began
                row.values["of_sid" if row.kind in _ENDED else "sid"] = number
                groups[row.kind].append(self._prepared[row.kind].of(row.values))
            for row in one.rows:
                kind = KINDS.get(type(row))
                if isinstance(row, FinishedRun):
                    groups[Kind.FINISHED_RUN].append(self._finished(row.record))
                elif kind is not None and kind is not Kind.RUN:
                    groups[kind].append(self._makers[type(row)](row))
        return groups

    def _stream_numbers(self, cursor: Any, batch: Sequence[Submission]) -> Mapping[Stream, int]:
        """Give the number of each stream that rows name; streams that are written to for the first time get one."""
        fenced = {row.stream for one in batch if one.fence is not None for row in one.checkpoints}
        known = {stream: self._numbers[stream] for stream in fenced & self._numbers.keys()}
        rows = [row for one in batch for row in one.checkpoints if row.stream not in known]
        begun = {row.stream for row in rows if row.kind not in _ENDED}
        ended = {row.stream for row in rows} - begun
        found: dict[Stream, int] = {}
        if begun:
            names = sorted(begun)
            given = (json.dumps(names),) if self._is_sqlite else tuple(map(list, zip(*names, strict=True)))
            found |= _numbered(cursor, self._begin_streams, given)
        if ended:
            found |= _numbered(cursor, self._streams, (_json({thread for thread, _ in ended}),))
        self._learnt = {stream: found[stream] for stream in fenced & found.keys()}
        return known | found


def _depends(rows: Sequence[Row], unknown: Set[Stream]) -> bool:
    """Say whether something is deleted that the same batch may write, or the end of a stream that nobody knows."""
    written = {(row.stream, row.values["checkpoint_id"]) for row in rows if row.kind in _OF_CHECKPOINT}
    filled = {row.stream for row in rows if row.kind not in _ENDED} | unknown
    return any(
        row.stream in unknown or (row.stream, row.values["of_checkpoint"]) in written
        if "of_checkpoint" in row.values
        else row.stream in filled
        for row in rows
        if row.kind in _ENDED
    )


def _numbered(cursor: Any, question: str, given: Sequence[Any]) -> dict[Stream, int]:
    cursor.execute(question, given)
    return {(thread, space): number for thread, space, number in cursor.fetchall()}


def _json(keys: Iterable[str]) -> str:
    return json.dumps(sorted(keys))

"""A batch becomes a transaction: runs begin, fences are checked, and what is left is written kind after kind."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Dialect, insert, text

from engine.errors import LeaseLost
from engine.records import PayloadRecord, Record, RunRecord
from engine.store import tables
from engine.store.statements import ENDED, KINDS, FinishedRun, Kind, Row, cleaned, payload_row, prepared

Writable = Record | Row | FinishedRun
_ROW_BYTES = 512  # about what a row holds
_REPEATED = frozenset({Kind.RUN, Kind.VERDICT, Kind.OUTCOME})  # writing these twice would make two rows
_ENDED = frozenset(
    {Kind.SUPERSEDED_WRITES, Kind.ENDED_WRITES, Kind.ENDED_BLOBS, Kind.ENDED_CHECKPOINTS, Kind.ENDED_STREAM}
)


@dataclass(slots=True)
class Submission:
    """Rows that commit together.

    Attributes:
        fence: (run id, fence) that the run's row must still say; None for what belongs to no run.
        done: who waits: a future of an event loop, or of threads.
    """

    rows: Sequence[Writable]
    fence: tuple[str, int] | None = None
    done: Any = None
    size: int = 0
    error: Exception | None = field(default=None)

    @property
    def is_idempotent(self) -> bool:
        """Whether writing it a second time changes nothing."""
        return not any(KINDS.get(type(row)) in _REPEATED for row in self.rows)


def size_of(rows: Sequence[Writable]) -> int:
    """Give about how many bytes rows hold; what is large is a payload."""
    return _ROW_BYTES * len(rows) + sum(len(row.content) for row in rows if type(row) is PayloadRecord)


class Batches:
    """Writes batches over a connection whose transaction has begun."""

    def __init__(self, dialect: Dialect) -> None:
        self._prepared = prepared(dialect)
        self._makers: dict[type, Callable[[Any], Sequence[Any]]] = {
            record: self._prepared[kind].maker() for record, kind in KINDS.items() if record is not PayloadRecord
        }
        payload = self._prepared[Kind.PAYLOAD]
        self._makers[PayloadRecord] = lambda record: payload.of(payload_row(record))
        self._finished = self._prepared[Kind.FINISHED_RUN].maker(prefix=ENDED)
        if dialect.name == "sqlite":
            among, lock = "IN (SELECT value FROM json_each(:keys))", ""
        else:  # what is read here must still hold when this commits
            among, lock = "= ANY(SELECT json_array_elements_text(CAST(:keys AS json)))", " ORDER BY run_id FOR SHARE"
        self._fences = text(f"SELECT run_id, fence FROM runs WHERE run_id {among}{lock}")  # noqa: S608 - no user text
        self._streams = text(
            f"SELECT thread_id, checkpoint_ns, sid FROM checkpoint_streams WHERE thread_id {among}"  # noqa: S608
        )

    def write(self, connection: Connection, batch: Sequence[Submission], *, clean: bool = False) -> None:
        """Write a batch; submissions under a stale fence are left out and told so."""
        groups: dict[Kind, list[Sequence[Any]]] = {}
        runs = [self._makers[RunRecord](row) for one in batch for row in one.rows if type(row) is RunRecord]
        self._execute(connection, Kind.RUN, runs, clean=clean)
        self._check_fences(connection, batch)
        self._group(connection, [one for one in batch if one.error is None], groups)
        for kind in sorted(groups):
            self._execute(connection, kind, groups[kind], clean=clean)

    def _execute(self, connection: Connection, kind: Kind, rows: list[Sequence[Any]], *, clean: bool) -> None:
        if rows:
            values = [tuple(cleaned(row) if clean else row) for row in rows]
            connection.exec_driver_sql(self._prepared[kind].sql, values)

    def _check_fences(self, connection: Connection, batch: Sequence[Submission]) -> None:
        held = {one.fence[0] for one in batch if one.fence is not None}
        found: Mapping[str, int] = {}
        if held:
            found = {row[0]: row[1] for row in connection.execute(self._fences, {"keys": _json(held)})}
        for one in batch:
            one.error = None
            if one.fence is not None and found.get(one.fence[0]) != one.fence[1]:
                one.error = LeaseLost(
                    f"the run {one.fence[0]} has gone to another process: nothing more of it is written here"
                )

    def _group(
        self, connection: Connection, batch: Sequence[Submission], groups: dict[Kind, list[Sequence[Any]]]
    ) -> None:
        numbers = self._stream_numbers(connection, batch)
        for one in batch:
            for row in one.rows:
                record = type(row)
                if isinstance(row, Row):
                    number = numbers.get(row.stream)
                    if number is None:
                        continue  # the end of a stream that never began
                    row.values["of_sid" if row.kind in _ENDED else "sid"] = number
                    groups.setdefault(row.kind, []).append(self._prepared[row.kind].of(row.values))
                elif isinstance(row, FinishedRun):
                    groups.setdefault(Kind.FINISHED_RUN, []).append(self._finished(row.record))
                elif record is not RunRecord:
                    groups.setdefault(KINDS[record], []).append(self._makers[record](row))

    def _stream_numbers(self, connection: Connection, batch: Sequence[Submission]) -> Mapping[tuple[str, str], int]:
        """Give the number of each stream that rows name; streams that are written to for the first time get one."""
        rows = [row for one in batch for row in one.rows if isinstance(row, Row)]
        if not rows:
            return {}
        threads = {"keys": _json({row.stream[0] for row in rows})}
        found = {(row[0], row[1]): row[2] for row in connection.execute(self._streams, threads)}
        fresh = {row.stream for row in rows if row.kind not in _ENDED and row.stream not in found}
        if not fresh:
            return found
        streams = [{"thread_id": thread, "checkpoint_ns": space} for thread, space in sorted(fresh)]
        connection.execute(insert(tables.checkpoint_streams), streams)
        return {(row[0], row[1]): row[2] for row in connection.execute(self._streams, threads)}


def _json(keys: Iterable[str]) -> str:
    return json.dumps(sorted(keys))

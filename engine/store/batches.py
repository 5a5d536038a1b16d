"""A batch becomes a transaction: runs begin, fences are checked, and what is left is written kind after kind."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, text

from engine.errors import LeaseLost
from engine.records import PayloadRecord, Record, RunRecord
from engine.store import tables
from engine.store.statements import KINDS, Kind, Row, cleaned, payload_row, row_maker, run_row, statements

Writable = Record | Row
_REPEATED = frozenset({Kind.VERDICT, Kind.OUTCOME})  # writing these twice would make two rows
_ENDED = frozenset({Kind.SUPERSEDED_WRITES, Kind.ENDED_WRITES, Kind.ENDED_CHECKPOINTS, Kind.ENDED_STREAM})


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
        return not any(isinstance(row, RunRecord) or _kind_of(row) in _REPEATED for row in self.rows)


def size_of(rows: Iterable[Writable]) -> int:
    """Give about how many bytes rows hold."""
    return sum(256 + len(row.content) if isinstance(row, PayloadRecord) else 256 + _bytes_in(row) for row in rows)


def _bytes_in(row: Writable) -> int:
    return sum(len(row.values.get(name) or b"") for name in ("state", "value")) if isinstance(row, Row) else 0


class Batches:
    """Writes batches over a connection whose transaction has begun."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._statements = statements(is_sqlite=is_sqlite)
        self._rows = {record: row_maker(record) for record in KINDS}
        self._rows[PayloadRecord] = payload_row
        if is_sqlite:
            among, lock = "IN (SELECT value FROM json_each(:keys))", ""
        else:  # what is read here must still hold when this commits
            among, lock = "= ANY(SELECT json_array_elements_text(CAST(:keys AS json)))", " ORDER BY run_id FOR SHARE"
        self._fences = text(f"SELECT run_id, fence FROM runs WHERE run_id {among}{lock}")  # noqa: S608 - no user text
        self._streams = text(
            f"SELECT thread_id, checkpoint_ns, sid FROM checkpoint_streams WHERE thread_id {among}"  # noqa: S608
        )

    def write(self, connection: Connection, batch: Sequence[Submission], *, clean: bool = False) -> None:
        """Write a batch; submissions under a stale fence are left out and told so."""
        self._begin_runs(connection, batch, clean=clean)
        self._check_fences(connection, batch)
        groups = self._grouped(connection, [one for one in batch if one.error is None])
        for kind, statement in self._statements.items():
            rows = groups.get(kind)
            if rows:
                connection.execute(statement, [cleaned(row) for row in rows] if clean else rows)

    def _begin_runs(self, connection: Connection, batch: Sequence[Submission], *, clean: bool) -> None:
        runs = [run_row(row) for one in batch for row in one.rows if isinstance(row, RunRecord)]
        if runs:
            connection.execute(insert(tables.runs), [cleaned(run) for run in runs] if clean else runs)

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

    def _grouped(self, connection: Connection, batch: Sequence[Submission]) -> Mapping[Kind, list[dict[str, Any]]]:
        groups: dict[Kind, list[dict[str, Any]]] = {}
        numbers = self._stream_numbers(connection, batch)
        for one in batch:
            for row in one.rows:
                if isinstance(row, Row):
                    values = row.values
                    if row.stream is not None:
                        number = numbers.get(row.stream)
                        if number is None:
                            continue  # the end of a stream that never began
                        values["of_sid" if row.kind in _ENDED else "sid"] = number
                    groups.setdefault(row.kind, []).append(values)
                elif not isinstance(row, RunRecord):
                    kind = type(row)
                    groups.setdefault(KINDS[kind], []).append(self._rows[kind](row))
        return groups

    def _stream_numbers(self, connection: Connection, batch: Sequence[Submission]) -> Mapping[tuple[str, str], int]:
        """Give the number of each stream that rows name; streams that are written to for the first time get one."""
        rows = [row for one in batch for row in one.rows if isinstance(row, Row) and row.stream is not None]
        if not rows:
            return {}
        threads = {"keys": _json({row.stream[0] for row in rows if row.stream})}
        found = {(row[0], row[1]): row[2] for row in connection.execute(self._streams, threads)}
        fresh = {row.stream for row in rows if row.kind not in _ENDED and row.stream not in found}
        if not fresh:
            return found
        streams = [{"thread_id": thread, "checkpoint_ns": space} for thread, space in sorted(filter(None, fresh))]
        connection.execute(insert(tables.checkpoint_streams), streams)
        return {(row[0], row[1]): row[2] for row in connection.execute(self._streams, threads)}


def _kind_of(row: Writable) -> Kind | None:
    return row.kind if isinstance(row, Row) else KINDS.get(type(row))


def _json(keys: Iterable[str]) -> str:
    return json.dumps(sorted(keys))

"""Copies, deletes and prunes checkpoints, each within a transaction that somebody else begins and ends."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol
from sqlalchemy import Connection, Table, delete, insert, literal, select

from engine.errors import InputError
from engine.store import tables
from engine.store.checkpoint_codec import stored

_OF_STREAM = (tables.checkpoint_writes, tables.checkpoint_blobs, tables.checkpoints)


def delete_thread(connection: Connection, thread: str) -> None:
    """Delete all of a thread."""
    for sid in _streams_of(connection, thread).values():
        delete_stream(connection, sid)


def delete_stream(connection: Connection, sid: int) -> None:
    """Delete all of one namespace of a thread."""
    for table in (*_OF_STREAM, tables.checkpoint_streams):
        connection.execute(delete(table).where(table.c.sid == sid))


def delete_for_runs(connection: Connection, serde: SerializerProtocol, run_ids: Sequence[str]) -> None:
    """Delete the checkpoints that these runs made."""
    table = tables.checkpoints
    found = connection.execute(select(table.c.sid, table.c.checkpoint_id).where(table.c.run_id.in_(list(run_ids))))
    by_stream: dict[int, list[str]] = {}
    for row in found:
        by_stream.setdefault(row.sid, []).append(row.checkpoint_id)
    for sid, checkpoints in by_stream.items():
        _delete(connection, serde, sid, checkpoints)


def copy_thread(connection: Connection, source: str, target: str) -> None:
    """Copy all of a thread; what the target has stays."""
    streams = tables.checkpoint_streams
    there = _streams_of(connection, target)
    for namespace, sid in _streams_of(connection, source).items():
        copy = there.get(namespace)
        if copy is None:
            made = insert(streams).values(thread_id=target, checkpoint_ns=namespace).returning(streams.c.sid)
            copy = connection.execute(made).scalar_one()
        for table in _OF_STREAM:
            _copy_rows(connection, table, sid, copy)


def prune(connection: Connection, serde: SerializerProtocol, threads: Sequence[str], strategy: str) -> None:
    """Keep the latest checkpoint of each namespace, and what its delta channels are rebuilt from; or nothing."""
    if strategy not in {"keep_latest", "delete"}:
        raise InputError(f"the strategy {strategy!r} is not known: keep_latest or delete")
    for thread in threads:
        if strategy == "delete":
            delete_thread(connection, str(thread))
            continue
        for sid in _streams_of(connection, str(thread)).values():
            kept = _kept(connection, serde, sid)
            table = tables.checkpoints
            every = connection.scalars(select(table.c.checkpoint_id).where(table.c.sid == sid))
            _delete(connection, serde, sid, [one for one in every if one not in kept])


def _streams_of(connection: Connection, thread: str) -> Mapping[str, int]:
    table = tables.checkpoint_streams
    found = connection.execute(select(table.c.checkpoint_ns, table.c.sid).where(table.c.thread_id == thread))
    return {row.checkpoint_ns: row.sid for row in found}


def _copy_rows(connection: Connection, table: Table, source: int, target: int) -> None:
    rest = [column for column in table.columns if column.name != "sid"]
    rows = select(literal(target), *rest).where(table.c.sid == source)
    connection.execute(insert(table).from_select(["sid", *(column.name for column in rest)], rows))


def _kept(connection: Connection, serde: SerializerProtocol, sid: int) -> set[str]:
    """Give the latest checkpoint, and the ancestors that hold or lead to the whole values of its delta channels."""
    table = tables.checkpoints
    query = select(table).where(table.c.sid == sid).order_by(table.c.checkpoint_id.desc())
    kept: set[str] = set()
    missing: set[str] = set()
    following: str | None = None
    for row in connection.execute(query):
        if not kept:
            metadata: Mapping[str, Any] = serde.loads_typed(("msgpack", row.metadata))
            missing = set(metadata.get("counters_since_delta_snapshot") or ())
        elif not missing or row.checkpoint_id != following:
            continue
        skeleton = stored(serde, row.state, row.addresses)
        kept.add(row.checkpoint_id)
        missing -= {*skeleton.inline, *skeleton.addresses, *skeleton.blobs}
        following = row.parent_id
    return kept


def _delete(connection: Connection, serde: SerializerProtocol, sid: int, checkpoints: Iterable[str]) -> None:
    """Delete checkpoints of a stream and the blobs that no other one of it needs."""
    for table in (tables.checkpoint_writes, tables.checkpoints):
        for one in checkpoints:
            connection.execute(delete(table).where(table.c.sid == sid, table.c.checkpoint_id == one))
    table = tables.checkpoints
    needed: set[tuple[str, int]] = set()
    remaining = connection.execute(select(table.c.state, table.c.addresses).where(table.c.sid == sid)).all()
    for row in remaining:
        needed |= set(stored(serde, row.state, row.addresses).blobs.items())
    if not remaining:
        delete_stream(connection, sid)
        return
    blobs = tables.checkpoint_blobs
    found = connection.execute(select(blobs.c.channel, blobs.c.version).where(blobs.c.sid == sid)).all()
    for channel, version in {(row.channel, row.version) for row in found} - needed:
        connection.execute(
            delete(blobs).where(blobs.c.sid == sid, blobs.c.channel == channel, blobs.c.version == version)
        )

"""Questions about checkpoints, each asked over a connection that somebody else opens and closes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
    get_checkpoint_id,
    writes_sort_key,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from sqlalchemy import Connection, Row, Select, and_, or_, select

from engine.payloads import unpack
from engine.store import tables
from engine.store.checkpoint_codec import Stored, Stream, decoded, payload_of, stored
from engine.store.reader import contents_at

_AT_ONCE = 200  # checkpoints whose values are fetched in one question

Written = tuple[str, str, Any]


def stream_of(config: RunnableConfig) -> Stream:
    """Give the thread and namespace that a configuration names."""
    named = config.get("configurable", {})
    return str(named["thread_id"]), str(named.get("checkpoint_ns", ""))


def config_of(thread: str, namespace: str, checkpoint_id: str) -> RunnableConfig:
    """Give the configuration that names a checkpoint."""
    named = {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}
    return {"configurable": named}


def one(connection: Connection, serde: SerializerProtocol, config: RunnableConfig) -> CheckpointTuple | None:
    """Give the checkpoint that a configuration names, or the latest."""
    thread, namespace = stream_of(config)
    query = _select().where(
        tables.checkpoint_streams.c.thread_id == thread, tables.checkpoint_streams.c.checkpoint_ns == namespace
    )
    named = get_checkpoint_id(config)
    if named:
        query = query.where(tables.checkpoints.c.checkpoint_id == named)
    row = connection.execute(query.order_by(tables.checkpoints.c.checkpoint_id.desc()).limit(1)).first()
    return None if row is None else _tuples(connection, serde, [row])[0]


def many(
    connection: Connection,
    serde: SerializerProtocol,
    config: RunnableConfig | None,
    *,
    given: Mapping[str, Any] | None = None,
    before: RunnableConfig | None = None,
    limit: int | None = None,
) -> list[CheckpointTuple]:
    """Give checkpoints, newest first, whose metadata hold what is given."""
    query = _select().order_by(tables.checkpoints.c.checkpoint_id.desc())
    named = {} if config is None else config.get("configurable", {})
    for name, column in _NAMED.items():
        if named.get(name) is not None:
            query = query.where(column == str(named[name]))
    until = None if before is None else get_checkpoint_id(before)
    if until:
        query = query.where(tables.checkpoints.c.checkpoint_id < until)
    if not given:
        query = query.limit(limit)
    rows = [row for row in connection.execute(query) if not given or _holds(_loads(serde, row.metadata), given)]
    return _tuples(connection, serde, rows[:limit])


def delta_history(
    connection: Connection, serde: SerializerProtocol, config: RunnableConfig, channels: Sequence[str]
) -> Mapping[str, DeltaChannelHistory]:
    """Give what channels were written since their last whole value, along the ancestors of a checkpoint."""
    target = one(connection, serde, config) if channels else None
    histories: dict[str, list[PendingWrite]] = {channel: [] for channel in channels}
    seeds: dict[str, Any] = {}
    cursor = None if target is None else target.parent_config
    while cursor is not None and len(seeds) < len(histories):
        ancestor = one(connection, serde, cursor)
        if ancestor is None:
            break
        for write in reversed(ancestor.pending_writes or []):
            if write[1] in histories and write[1] not in seeds:
                histories[write[1]].append(write)
        values = ancestor.checkpoint["channel_values"]
        seeds |= {channel: values[channel] for channel in histories if channel in values and channel not in seeds}
        cursor = ancestor.parent_config
    return {
        channel: cast("DeltaChannelHistory", {"writes": writes[::-1]} | _seed(seeds, channel))
        for channel, writes in histories.items()
    }


def _seed(seeds: Mapping[str, Any], channel: str) -> dict[str, Any]:
    return {"seed": seeds[channel]} if channel in seeds else {}


_NAMED = {
    "thread_id": tables.checkpoint_streams.c.thread_id,
    "checkpoint_ns": tables.checkpoint_streams.c.checkpoint_ns,
    "checkpoint_id": tables.checkpoints.c.checkpoint_id,
}


def _select() -> Select[Any]:
    streams, checkpoints = tables.checkpoint_streams, tables.checkpoints
    columns = (streams.c.thread_id, streams.c.checkpoint_ns, *checkpoints.c)
    return select(*columns).join_from(checkpoints, streams, checkpoints.c.sid == streams.c.sid)


def _loads(serde: SerializerProtocol, data: bytes) -> Any:
    return serde.loads_typed(("msgpack", data))


def _holds(metadata: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    return all(name in metadata and metadata[name] == value for name, value in given.items())


def _tuples(connection: Connection, serde: SerializerProtocol, rows: Sequence[Row[Any]]) -> list[CheckpointTuple]:
    found: list[CheckpointTuple] = []
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        skeletons = [stored(serde, row.state, row.addresses) for row in some]
        writes = _writes_of(connection, some)
        blobs = _blobs_of(connection, some, skeletons)
        addresses = {address for skeleton in skeletons for address in skeleton.addresses.values()}
        addresses |= {address for kind, data in _typed(writes, blobs) if (address := payload_of(kind, data))}
        contents = contents_at(connection, addresses)
        for row, skeleton in zip(some, skeletons, strict=True):
            values = dict(skeleton.inline)
            values |= {
                channel: unpack(address, contents.__getitem__) for channel, address in skeleton.addresses.items()
            }
            for channel, version in skeleton.blobs.items():
                blob = blobs.get((row.sid, channel, version))
                if blob is not None:
                    values[channel] = decoded(serde, *blob, contents)
            pending = [
                (task, channel, decoded(serde, kind, data, contents))
                for task, channel, kind, data in writes.get((row.sid, row.checkpoint_id), ())
            ]
            found.append(_tuple(serde, row, skeleton, values, pending))
    return found


def _tuple(
    serde: SerializerProtocol, row: Row[Any], skeleton: Stored, values: Mapping[str, Any], pending: list[PendingWrite]
) -> CheckpointTuple:
    parent = None if row.parent_id is None else config_of(row.thread_id, row.checkpoint_ns, row.parent_id)
    return CheckpointTuple(
        config=config_of(row.thread_id, row.checkpoint_ns, row.checkpoint_id),
        checkpoint=skeleton.checkpoint(row.checkpoint_id, values),
        metadata=_loads(serde, row.metadata),
        parent_config=parent,
        pending_writes=pending,
    )


def _typed(
    writes: Mapping[Any, Iterable[tuple[str, str, str, bytes]]], blobs: Mapping[Any, tuple[str, bytes]]
) -> Iterable[tuple[str, bytes]]:
    yield from ((kind, data) for some in writes.values() for _, _, kind, data in some)
    yield from blobs.values()


def _writes_of(
    connection: Connection, rows: Sequence[Row[Any]]
) -> Mapping[tuple[int, str], list[tuple[str, str, str, bytes]]]:
    """Give what tasks wrote after checkpoints, in the order in which LangGraph applies it."""
    table = tables.checkpoint_writes
    found: dict[tuple[int, str], list[Any]] = {}
    for row in _matching(
        connection,
        select(table),
        rows,
        lambda row: and_(table.c.sid == row.sid, table.c.checkpoint_id == row.checkpoint_id),
    ):
        found.setdefault((row.sid, row.checkpoint_id), []).append(row)
    for some in found.values():
        some.sort(key=lambda row: writes_sort_key(row.task_path, row.task_id, row.idx))
    return {key: [(row.task_id, row.channel, row.type, row.value) for row in some] for key, some in found.items()}


def _blobs_of(
    connection: Connection, rows: Sequence[Row[Any]], skeletons: Sequence[Stored]
) -> Mapping[tuple[int, str, int], tuple[str, bytes]]:
    table = tables.checkpoint_blobs
    wanted = sorted(
        {
            (row.sid, channel, version)
            for row, skeleton in zip(rows, skeletons, strict=True)
            for channel, version in skeleton.blobs.items()
        }
    )
    found = _matching(
        connection,
        select(table),
        wanted,
        lambda key: and_(table.c.sid == key[0], table.c.channel == key[1], table.c.version == key[2]),
    )
    return {(row.sid, row.channel, row.version): (row.type, row.value) for row in found}


def _matching(
    connection: Connection, query: Select[Any], wanted: Sequence[Any], condition: Callable[[Any], Any]
) -> Iterable[Row[Any]]:
    """Give the rows that fit any of many conditions, some conditions at a time."""
    for start in range(0, len(wanted), _AT_ONCE):
        conditions = [condition(one) for one in wanted[start : start + _AT_ONCE]]
        yield from connection.execute(query.where(or_(*conditions)))

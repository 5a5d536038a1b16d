"""Checkpoints as rows and back: small values inline, JSON of runs as payloads, all else as a blob a channel version.

The value of a channel that has not changed is never written again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langgraph.checkpoint.base import WRITES_IDX_MAP, Checkpoint
from langgraph.checkpoint.serde.base import SerializerProtocol

from engine.outbox import Outbox
from engine.payloads import unpack
from engine.store.statements import Kind, Row

_SHORT = 64  # characters of a text that is kept inline
_FEW = 32  # items of a plain list or dictionary that is kept inline
_PLAIN = frozenset({type(None), bool, int, float})
_PAYLOAD = "payload"
_SKELETON = ("v", "ts", "channel_versions", "versions_seen", "updated_channels")

Stream = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint as it was read: its skeleton, and where the values of its channels are."""

    skeleton: Mapping[str, Any]
    addresses: Mapping[str, str]

    @property
    def inline(self) -> Mapping[str, Any]:
        """Values that stand in the skeleton."""
        return self.skeleton["values"]

    @property
    def blobs(self) -> Mapping[str, int]:
        """Channels whose values are blobs, each with its version."""
        versions = self.skeleton["channel_versions"]
        return {channel: versions[channel] for channel in self.skeleton["blobs"]}

    def checkpoint(self, checkpoint_id: str, values: Mapping[str, Any]) -> Checkpoint:
        """Put the checkpoint together."""
        parts = {name: self.skeleton[name] for name in _SKELETON}
        return cast("Checkpoint", parts | {"id": checkpoint_id, "channel_values": dict(values)})


def checkpoint_rows(
    serde: SerializerProtocol,
    stream: Stream,
    checkpoint: Checkpoint,
    metadata: Mapping[str, Any],
    new_versions: Mapping[str, Any],
    *,
    parent: str | None,
    outbox: Outbox | None = None,
) -> list[Row]:
    """Give the rows of a checkpoint; the payloads that it needs go to the outbox."""
    inline: dict[str, Any] = {}
    addresses: dict[str, bytes] = {}
    blobs: list[str] = []
    rows: list[Row] = []
    versions = checkpoint["channel_versions"]
    for channel, value in checkpoint["channel_values"].items():
        if is_small(value):
            inline[channel] = value
            continue
        version = cast("int", versions.get(channel, 0))
        address = None if outbox is None else _address(outbox, stream[1], channel, version, value)
        if address is not None:
            addresses[channel] = address
            continue
        blobs.append(channel)
        if outbox is not None:
            outbox.has_blobs = True
        if channel in new_versions:
            kind, data = serde.dumps_typed(value)
            values = {"channel": channel, "version": version, "type": kind, "value": data}
            rows.append(Row(Kind.BLOB, values, stream))
    parts: Any = checkpoint
    skeleton: dict[str, Any] = {name: parts.get(name) for name in _SKELETON}
    state = {
        "checkpoint_id": checkpoint["id"],
        "parent_id": parent,
        "run_id": metadata.get("run_id"),
        "state": serde.dumps_typed(skeleton | {"values": inline, "blobs": blobs})[1],
        "addresses": serde.dumps_typed(addresses)[1] if addresses else None,
        "metadata": serde.dumps_typed(dict(metadata))[1],
    }
    rows.append(Row(Kind.CHECKPOINT, state, stream))
    return rows


def write_rows(
    serde: SerializerProtocol,
    stream: Stream,
    checkpoint_id: str,
    writes: Sequence[tuple[str, Any]],
    *,
    task_id: str,
    task_path: str,
    outbox: Outbox | None = None,
) -> list[Row]:
    """Give the rows of what a task wrote; a first write stays, unless all are special (errors, interrupts)."""
    special = all(channel in WRITES_IDX_MAP for channel, _ in writes)
    kind = Kind.SPECIAL_WRITE if special else Kind.WRITE
    rows: list[Row] = []
    for index, (channel, value) in enumerate(writes):
        value_type, data = _encoded(serde, value, outbox)
        values = {
            "checkpoint_id": checkpoint_id,
            "task_id": task_id,
            "idx": WRITES_IDX_MAP.get(channel, index),
            "task_path": task_path,
            "channel": channel,
            "type": value_type,
            "value": data,
        }
        rows.append(Row(kind, values, stream))
    return rows


def stored(serde: SerializerProtocol, state: bytes, addresses: bytes | None) -> Stored:
    """Read the skeleton of a checkpoint."""
    return Stored(serde.loads_typed(("msgpack", state)), addresses_in(serde, addresses))


def addresses_in(serde: SerializerProtocol, addresses: bytes | None) -> dict[str, str]:
    """Give the payload that holds each channel of a checkpoint."""
    found: Mapping[str, bytes] = {} if addresses is None else serde.loads_typed(("msgpack", addresses))
    return {channel: address.hex() for channel, address in found.items()}


def payload_of(kind: str, data: bytes) -> str | None:
    """Give the address of the payload that holds a write, if one does."""
    return data.hex() if kind == _PAYLOAD else None


def decoded(serde: SerializerProtocol, kind: str, data: bytes, contents: Mapping[str, str]) -> Any:
    """Give the value of a blob or write."""
    address = payload_of(kind, data)
    return serde.loads_typed((kind, data)) if address is None else unpack(address, contents.__getitem__)


def is_small(value: Any) -> bool:
    """Say whether a value is short and plain enough to stand inline."""
    kind = cast("type[Any]", type(value))
    if kind in _PLAIN:
        return True
    if isinstance(value, str):
        return len(value) <= _SHORT
    if kind is dict:
        return len(value) <= _FEW and {str}.issuperset(map(type, value)) and _all_scalar(value.values())
    return kind is list and len(value) <= _FEW and _all_scalar(value)


def _all_scalar(values: Iterable[Any]) -> bool:
    return _PLAIN.issuperset(map(type, values)) or all(
        type(value) in _PLAIN or (type(value) is str and len(value) <= _SHORT) for value in values
    )


def _address(outbox: Outbox, namespace: str, channel: str, version: int, value: Any) -> bytes | None:
    """Give the address of a channel's value; None if the value is not JSON."""
    known = outbox.channels.get((namespace, channel))
    if known is not None and known[0] == version:
        return known[1]
    try:
        address = bytes.fromhex(outbox.pack(value))
    except (TypeError, ValueError):
        return None
    outbox.channels[namespace, channel] = (version, address)
    return address


def _encoded(serde: SerializerProtocol, value: Any, outbox: Outbox | None) -> tuple[str, bytes]:
    if outbox is not None and not is_small(value):
        try:
            return _PAYLOAD, bytes.fromhex(outbox.pack(value))
        except (TypeError, ValueError):
            pass  # not JSON: an error, an interrupt
    return serde.dumps_typed(value)

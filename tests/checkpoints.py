"""Checkpoints to put, and what is read of them, for tests of the checkpointer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple

LONG = "a text that is too long to stand inline " * 250


@dataclass
class Point:
    """A class that nobody has registered."""

    x: int
    made: ClassVar[list[int]] = []

    def __post_init__(self) -> None:
        self.made.append(self.x)


def at(number: int | None = None, *, thread: str = "thread", namespace: str = "", **fields: Any) -> RunnableConfig:
    """Give a configuration that names a checkpoint by its number, or the latest."""
    named = {"thread_id": thread, "checkpoint_ns": namespace}
    return {"configurable": named | ({} if number is None else {"checkpoint_id": id_of(number)}) | fields}


def id_of(number: int) -> str:
    return f"1f0a0000-0000-6000-8000-{number:012x}"


async def put(
    saver: BaseCheckpointSaver,
    number: int,
    values: dict[str, Any] | None = None,
    *,
    after: RunnableConfig | None = None,
    versions: dict[str, int] | None = None,
    new: dict[str, int] | None = None,
    **metadata: Any,
) -> RunnableConfig:
    """Put a checkpoint whose channels have all changed, unless it is said which are new."""
    versions = versions or dict.fromkeys(values or {}, number + 1)
    checkpoint = {
        "v": 4,
        "id": id_of(number),
        "ts": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        "channel_values": values or {},
        "channel_versions": versions,
        "versions_seen": {},
        "updated_channels": None,
    }
    said = {"source": "loop", "step": number, "parents": {}} | metadata
    return await saver.aput(after or at(), checkpoint, said, versions if new is None else new)


async def read(saver: BaseCheckpointSaver, config: RunnableConfig) -> CheckpointTuple:
    found = await saver.aget_tuple(config)
    assert found is not None
    return found


async def values(saver: BaseCheckpointSaver, config: RunnableConfig) -> dict[str, Any]:
    return (await read(saver, config)).checkpoint["channel_values"]


async def pending(saver: BaseCheckpointSaver, config: RunnableConfig) -> list[tuple[str, str, Any]]:
    return [*((await read(saver, config)).pending_writes or [])]


async def numbers(saver: BaseCheckpointSaver, config: RunnableConfig | None, **asked: Any) -> list[int]:
    """Give the steps of what is listed."""
    return [found.metadata["step"] async for found in saver.alist(config, **asked)]

"""LangGraph's checkpoints in the database of the ledger, through its one writer.

A step's rows in the ledger, what its task wrote and the checkpoint that follows commit in one transaction. The trick:
what a task wrote is only staged. LangGraph hands over the checkpoint that follows in the same turn of the event loop,
which then takes all of it along; what nothing follows is flushed at the next turn.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from inspect import signature
from random import Random
from typing import Any, NamedTuple, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from engine.outbox import OUTBOX, Outbox, Staged
from engine.store import checkpoint_reads as reads
from engine.store import checkpoint_upkeep as upkeep
from engine.store.checkpoint_codec import Stream, checkpoint_rows, write_rows
from engine.store.reader import Reader
from engine.store.statements import Kind, Row
from engine.store.writer import Writer

_SECRETS = frozenset({"key", "apikey", "token", "secret", "password", "authorization", "credential", "credentials"})
Rows = list[Row]  # inside the class `list` is a method, by LangGraph's choice
TASKS = "__pregel_tasks"  # LangGraph's name for what was sent to nodes
_RANDOM_BITS = 24  # versions of a fork differ from those of what it was forked from
_CHANCE = Random()  # noqa: S311 - guards nothing; apart from what programs seed
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_CHANCE.seed)


class _Step(NamedTuple):
    """A checkpoint as LangGraph hands it over: where it belongs, and the one that it follows."""

    stream: Stream
    parent: str | None
    checkpoint: Checkpoint
    metadata: CheckpointMetadata
    new_versions: ChannelVersions


class Checkpoints(BaseCheckpointSaver[int]):
    """Implements LangGraph's checkpointer in full; values are strict msgpack or JSON, and nothing is pickled.

    Args:
        latest_only: whether a run keeps no checkpoint but its last; LangGraph's own threads always keep all.
        serde: how values that are not JSON become bytes; by default only LangGraph's own safe types come back.
    """

    def __init__(
        self, writer: Writer, reader: Reader, *, latest_only: bool = False, serde: SerializerProtocol | None = None
    ) -> None:
        super().__init__(serde=serde or JsonPlusSerializer(allowed_msgpack_modules=None))
        self._writer = writer
        self._reader = reader
        self._latest_only = latest_only

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Give a checkpoint, the latest unless the configuration names one."""
        outbox = _outbox(config)
        if outbox is not None and outbox.is_new:
            return None
        found = await self._reader.read(lambda connection: reads.one(connection, self.serde, config))
        if outbox is not None and found is not None and found.pending_writes:
            outbox.stored.add(found.checkpoint["id"])
        return found

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Do the same from a thread that may wait."""
        return self._reader.read_now(lambda connection: reads.one(connection, self.serde, config))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Give checkpoints, newest first; none is held open between two of them."""
        for found in await self._reader.read(
            lambda connection: reads.many(connection, self.serde, config, given=filter, before=before, limit=limit)
        ):
            yield found

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Do the same from a thread that may wait."""
        yield from self._reader.read_now(
            lambda connection: reads.many(connection, self.serde, config, given=filter, before=before, limit=limit)
        )

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; returns when it is durable.

        Raises:
            LeaseLost: the run has gone to another process.
            StoreError: the database refused.
        """
        outbox = _outbox(config)
        if outbox is None:
            await self._writer.commit(self._rows_of_thread(config, checkpoint, metadata, new_versions))
            return _after(reads.stream_of(config), checkpoint)
        outbox.values = checkpoint["channel_values"]
        step = _Step(reads.stream_of(config), get_checkpoint_id(config), checkpoint, metadata, new_versions)
        if metadata.get("source") != "input":  # the ledger has the input of a run
            await self._put_of_run(outbox, step)
        return _after(step.stream, checkpoint)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Do the same from a thread that may wait."""
        self._writer.commit_now(self._rows_of_thread(config, checkpoint, metadata, new_versions))
        return _after(reads.stream_of(config), checkpoint)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote."""
        outbox = _outbox(config)
        rows = partial(self._writes, config, writes, task_id, task_path, outbox)
        if outbox is None:
            await self._writer.commit(rows())
            return
        outbox.staged.append(Staged(task_id, str(get_checkpoint_id(config)), rows))
        asyncio.get_running_loop().call_soon(self._flush, outbox)

    aput_writes.__signature__ = signature(aput_writes)  # type: ignore[attr-defined] # LangGraph asks for it at each run

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Do the same from a thread that may wait."""
        self._writer.commit_now(self._writes(config, writes, task_id, task_path, None))

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all of a thread."""
        await self._writer.do(lambda connection: upkeep.delete_thread(connection, str(thread_id)))

    def delete_thread(self, thread_id: str) -> None:
        """Do the same from a thread that may wait."""
        self._writer.do_now(lambda connection: upkeep.delete_thread(connection, str(thread_id)))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints whose metadata name these runs, and what tasks wrote after them."""
        await self._writer.do(lambda connection: upkeep.delete_for_runs(connection, self.serde, run_ids))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Do the same from a thread that may wait."""
        self._writer.do_now(lambda connection: upkeep.delete_for_runs(connection, self.serde, run_ids))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all of a thread."""
        await self._writer.do(lambda connection: upkeep.copy_thread(connection, source_thread_id, target_thread_id))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Do the same from a thread that may wait."""
        self._writer.do_now(lambda connection: upkeep.copy_thread(connection, source_thread_id, target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep the latest checkpoint of each namespace of these threads, or nothing (`delete`)."""
        await self._writer.do(lambda connection: upkeep.prune(connection, self.serde, thread_ids, strategy))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Do the same from a thread that may wait."""
        self._writer.do_now(lambda connection: upkeep.prune(connection, self.serde, thread_ids, strategy))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Give what each channel was written since its last whole value, along the ancestors of a checkpoint."""
        return await self._reader.read(lambda connection: reads.delta_history(connection, self.serde, config, channels))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Do the same from a thread that may wait."""
        return self._reader.read_now(lambda connection: reads.delta_history(connection, self.serde, config, channels))

    def get_next_version(self, current: int | None, channel: None) -> int:
        """Count up in the high bits; the low ones are random, so that no two forks share a version."""
        return ((current or 0) >> _RANDOM_BITS) + 1 << _RANDOM_BITS | _CHANCE.getrandbits(_RANDOM_BITS)

    async def _put_of_run(self, outbox: Outbox, step: _Step) -> None:
        """Store a checkpoint with the steps that led to it; what their tasks wrote is in it and need not be stored.

        The first one is held back, since until something is stored a run starts from its input; and the last one, since
        the end of the run, which follows at once, makes it superfluous.
        """
        led_here = [staged for staged in outbox.staged if staged.checkpoint == step.parent]
        outbox.staged = [staged for staged in outbox.staged if staged.checkpoint != step.parent]
        before = [] if self._latest_only else outbox.release()
        outbox.held = partial(self._rows_of_run, outbox, step, led_here, before)
        outbox.holds_first, outbox.is_new = outbox.is_new, False
        if outbox.holds_first or (not step.stream[1] and _is_last(step.checkpoint)):
            return
        held = outbox.release()
        await self._writer.commit([*outbox.take(staged.task for staged in led_here), *held], outbox.key)

    def _rows_of_run(self, outbox: Outbox, step: _Step, led_here: Sequence[Staged], before: Rows) -> Rows:
        """Give the rows of a checkpoint behind those of the one before, and of what it makes superfluous."""
        made = [*before, *self._rows(step, step.metadata, outbox)]
        if "counters_since_delta_snapshot" in step.metadata:
            made += [row for staged in led_here for row in staged.rows()]
        elif step.parent in outbox.stored:
            made.append(Row(Kind.SUPERSEDED_WRITES, {"of_checkpoint": step.parent}, step.stream))
        if self._latest_only and outbox.has_checkpoint:
            made.append(Row(Kind.SUPERSEDED_CHECKPOINT, {"of_checkpoint": step.parent}, step.stream))
        return made

    def _flush(self, outbox: Outbox) -> None:
        staged, outbox.staged = outbox.staged, []
        if staged:
            outbox.stored |= {one.checkpoint for one in staged}
            rows = [*outbox.release(), *(row for one in staged for row in one.rows())]
            self._writer.submit([*outbox.take(one.task for one in staged), *rows], outbox.key)

    def _rows_of_thread(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Rows:
        """Give the rows of a checkpoint of LangGraph's own threads."""
        step = _Step(reads.stream_of(config), get_checkpoint_id(config), checkpoint, metadata, new_versions)
        return self._rows(step, _without_secrets(config, metadata))

    def _rows(self, step: _Step, said: Mapping[str, Any], outbox: Outbox | None = None) -> Rows:
        return checkpoint_rows(
            self.serde, step.stream, step.checkpoint, said, step.new_versions, parent=step.parent, outbox=outbox
        )

    def _writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str,
        outbox: Outbox | None,
    ) -> Rows:
        checkpoint_id = str(get_checkpoint_id(config))
        return write_rows(
            self.serde,
            reads.stream_of(config),
            checkpoint_id,
            writes,
            task_id=task_id,
            task_path=task_path,
            outbox=outbox,
        )


def _without_secrets(config: RunnableConfig, metadata: CheckpointMetadata) -> dict[str, Any]:
    """Give what is stored beside a checkpoint: LangGraph adds the configuration, whatever it holds."""
    said = cast("dict[str, Any]", get_checkpoint_metadata(config, metadata))
    return {
        name: value
        for name, value in said.items()
        if name in metadata or _SECRETS.isdisjoint(name.lower().replace("-", "_").split("_"))
    }


def _outbox(config: RunnableConfig) -> Outbox | None:
    return config.get("configurable", {}).get(OUTBOX)


def _is_last(checkpoint: Checkpoint) -> bool:
    """Say whether nothing follows a checkpoint: no node is woken, and none was sent anything."""
    return not any(channel.startswith(("branch:to:", TASKS)) for channel in checkpoint["channel_values"])


def _after(stream: Stream, checkpoint: Checkpoint) -> RunnableConfig:
    return reads.config_of(*stream, checkpoint["id"])

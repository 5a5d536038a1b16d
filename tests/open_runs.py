"""Runs that are not finished, and the processes that have them, for tests of who may write what."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic import PrivateAttr

from engine.outbox import Outbox
from engine.records import CallRecord, RunRecord, RunStatus, StepRecord
from engine.store.ledger import SqlLedger
from engine.testing import ScriptedModel
from tests.flows import run_id

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Waiting(ScriptedModel):
    """A model that answers when it is told to; until then it says that it was asked."""

    _is_asked: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)
    _may_answer: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    async def is_asked(self) -> None:
        async with asyncio.timeout(10):
            await self._is_asked.wait()

    def was_asked(self) -> bool:
        return self._is_asked.is_set()

    def let_answer(self) -> None:
        self._may_answer.set()

    async def _agenerate(self, *given: Any, **options: Any) -> Any:
        self._is_asked.set()
        await self._may_answer.wait()
        return await super()._agenerate(*given, **options)


def run(number: int = 1, **fields: Any) -> RunRecord:
    given = {"run_id": run_id(number), "workflow": "ask", "version": "v1", "started_at": NOW, "claimed_at": NOW}
    return RunRecord(**({"status": RunStatus.RUNNING, "input_payload": "{}"} | given | fields))


def call(call_id: str, number: int = 1, **fields: Any) -> CallRecord:
    given = {"step_id": "s", "node_name": "ticket", "ordinal": 1, "attempt": 1, "operation_name": "execute_tool"}
    given |= {"call_id": call_id, "run_id": run(number).run_id, "target": "t", "started_at": NOW, "request_hash": "h"}
    return CallRecord(**(given | fields))


def step(step_id: str, number: int = 1, **fields: Any) -> StepRecord:
    given = {"step_id": step_id, "run_id": run(number).run_id, "node_name": "ticket", "node_kind": "call_tool"}
    return StepRecord(**(given | {"visit": 1, "started_at": NOW, "seq": 1} | fields))


def nobody_cancels() -> None: ...


async def admitted(ledger: SqlLedger, number: int = 1) -> Outbox:
    outbox = Outbox(run(number).run_id)
    await ledger.admit(run(number), outbox, nobody_cancels)
    return outbox


async def taken(ledger: SqlLedger, *, force: bool = False) -> Outbox:
    took = await ledger.take(run().run_id, NOW, nobody_cancels, force=force)
    return Outbox(run().run_id, fence=took.record.fence)


def let_the_leases_lapse(execute: Callable[[str], Any], url: str, seconds: int = 11) -> None:
    """Have all workers not been heard of for some seconds."""
    sqlite = f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '-{seconds} seconds')"
    postgresql = f"clock_timestamp() - interval '{seconds} s'"
    execute(f"UPDATE workers SET beat_at = {sqlite if url.startswith('sqlite') else postgresql}")

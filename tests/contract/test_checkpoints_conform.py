"""Our checkpointer conforms to LangGraph's in full, on every database, for those who await and those who wait."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability
from langgraph.checkpoint.conformance.report import CapabilityResult

from engine.store.database import Database
from engine.store.ledger import SqlLedger


@pytest.mark.parametrize("capability", Capability, ids=lambda capability: capability.value)
async def test_to_those_who_await_it_conforms_in(capability: Capability, database_url: str):
    _passed_all(await _judged(capability, database_url, lambda saver: saver))


@pytest.mark.parametrize("capability", Capability, ids=lambda capability: capability.value)
async def test_to_those_who_wait_it_conforms_in(capability: Capability, database_url: str):
    _passed_all(await _judged(capability, database_url, Waiting))


async def _judged(
    capability: Capability, url: str, shown_as: Callable[[BaseCheckpointSaver], BaseCheckpointSaver]
) -> CapabilityResult:
    @checkpointer_test(name="flowledger")
    async def opened() -> AsyncIterator[BaseCheckpointSaver]:
        ledger = SqlLedger(Database.open(url, migrate=True))
        yield shown_as(ledger.checkpoints)
        await ledger.close()

    report = await validate(opened, capabilities={capability.value})
    return report.results[capability.value]


def _passed_all(result: CapabilityResult) -> None:
    assert result.detected, "it is not implemented"
    assert not result.failures, f"{result.tests_failed} tests failed:\n" + "\n".join(result.failures)
    assert result.passed
    assert result.tests_passed, "no test has run"


def _twin(name: str) -> Callable[..., Any]:
    async def call(self: "Waiting", *given: Any, **named: Any) -> Any:
        return await asyncio.to_thread(getattr(self.saver, name), *given, **named)

    return call


class Waiting(BaseCheckpointSaver):
    """Calls the methods that wait, each in a thread of its own: the suite knows those that are awaited only."""

    def __init__(self, saver: BaseCheckpointSaver) -> None:
        super().__init__(serde=saver.serde)
        self.saver = saver

    async def alist(self, *given: Any, **named: Any) -> AsyncIterator[CheckpointTuple]:
        for found in await asyncio.to_thread(lambda: [*self.saver.list(*given, **named)]):
            yield found

    aput = _twin("put")
    aput_writes = _twin("put_writes")
    aget_tuple = _twin("get_tuple")
    adelete_thread = _twin("delete_thread")
    adelete_for_runs = _twin("delete_for_runs")
    acopy_thread = _twin("copy_thread")
    aprune = _twin("prune")
    aget_delta_channel_history = _twin("get_delta_channel_history")

    def get_next_version(self, current: Any, channel: None) -> Any:
        return self.saver.get_next_version(current, channel)

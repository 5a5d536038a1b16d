"""What waits is committed together: not too much of it at a time, and a bad row harms no other."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from engine.payloads import pack
from engine.records import OutcomeRecord
from tests.databases import SHARED
from tests.open_runs import NOW, admitted, run

pytestmark = SHARED


async def test_commits_wait_while_too_much_is_queued_and_all_arrive(open_ledger, monkeypatch):
    monkeypatch.setattr("engine.store.writer._FULL_BYTES", 10_000)
    ledger = open_ledger()
    queued: list[int] = []

    def rows(number: int) -> Iterator[Any]:
        queued.append(number)
        yield from pack(f"{number} " * 1000)[1]

    let_go = threading.Event()
    busy = asyncio.create_task(ledger.change(lambda _: let_go.wait(10)))
    await asyncio.sleep(0)
    commits = [asyncio.create_task(ledger.commit(rows(number))) for number in range(200)]
    await asyncio.sleep(0)
    assert 0 < len(queued) < 10
    let_go.set()
    async with asyncio.timeout(20):
        await asyncio.gather(busy, *commits)
    assert sorted(queued) == list(range(200))
    for number in (0, 100, 199):
        assert await ledger.value(pack(f"{number} " * 1000)[0]) == f"{number} " * 1000


async def test_a_row_that_cannot_be_written_takes_no_other_with_it(open_ledger):
    ledger = open_ledger()
    await admitted(ledger)
    let_go = threading.Event()
    busy = asyncio.create_task(ledger.change(lambda _: let_go.wait(10)))
    await asyncio.sleep(0)
    outcome = OutcomeRecord(run_id=run().run_id, name="good", source="test", created_at=NOW)
    rows = [run(2), run(1), replace(outcome, value=object()), replace(outcome, success=True), run(3, duration_ns=2**70)]
    writing = asyncio.gather(*(ledger.commit([row]) for row in rows), return_exceptions=True)
    await asyncio.sleep(0)
    let_go.set()
    await busy
    results = await writing
    assert [type(one).__name__ for one in results] == ["NoneType", "StoreError", "StoreError", "NoneType", "StoreError"]
    assert len(await ledger.runs()) == 2

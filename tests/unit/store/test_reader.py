"""Questions to a server are asked in threads, which outlive whoever waits for an answer."""

import asyncio
import threading

import pytest

from engine.store.database import Database
from engine.store.ledger import SqlLedger
from tests.databases import ready


async def test_whoever_is_cancelled_again_and_again_waits_until_the_connection_is_given_back(postgres_ledger_url):
    ledger = SqlLedger(Database.open(ready(postgres_ledger_url)))
    has_begun, may_end = threading.Event(), threading.Event()

    def question(_: object) -> None:
        has_begun.set()
        may_end.wait(10)

    try:
        asking = asyncio.create_task(ledger.read(question))
        await asyncio.to_thread(has_begun.wait, 10)
        for _ in range(3):
            asking.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not asking.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert ledger.database.engine.pool.checkedout() == 0
    finally:
        may_end.set()
        await ledger.close()

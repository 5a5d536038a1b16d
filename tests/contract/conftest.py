"""What the contract suites share: a ledger on a fresh database of each kind."""

from collections.abc import AsyncIterator

import pytest

from engine.store.database import Database
from engine.store.ledger import SqlLedger


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[SqlLedger]:
    opened = SqlLedger(Database.open(database_url, migrate=True))
    yield opened
    await opened.close()

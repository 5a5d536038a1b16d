"""What the contract suites share: ledgers on a fresh database of each kind."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from sqlalchemy import text

from engine.store.database import Database
from engine.store.ledger import SqlLedger
from tests.databases import ready


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[SqlLedger]:
    opened = SqlLedger(Database.open(database_url, migrate=True))
    yield opened
    await opened.close()


@pytest.fixture
def database(ledger: SqlLedger) -> Database:
    return ledger.database


@pytest.fixture
def saver(ledger: SqlLedger) -> BaseCheckpointSaver:
    return ledger.checkpoints


@pytest.fixture
def url(database_url: str) -> str:
    """Give the address of a database that is ready."""
    return ready(database_url)


@pytest.fixture
async def open_ledger(url: str) -> AsyncIterator[Callable[[], SqlLedger]]:
    """Open ledgers on one database, each as a process of its own would."""
    opened: list[SqlLedger] = []

    def open_one() -> SqlLedger:
        opened.append(SqlLedger(Database.open(url)))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()


@pytest.fixture
def execute(url: str) -> Iterator[Callable[[str], Any]]:
    """Execute a statement, as a person at the database would."""
    database = Database.open(url)

    def do(statement: str) -> Any:
        with database.engine.begin() as connection:
            return connection.execute(text(statement))

    yield do
    database.close()

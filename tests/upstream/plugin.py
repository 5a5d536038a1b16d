"""A pytest plugin: LangGraph's own tests get our checkpointer where they ask for the one on SQLite.

It is loaded by `langgraph_suite.py` into LangGraph's suite, never by ours.
"""

import asyncio
import os
import secrets  # uuid4 is not ours to call: some of these tests count its calls
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

_DATABASE = os.environ["FLOWLEDGER_UPSTREAM_DATABASE"]  # empty: leave LangGraph's own savers in place
_REPLACED = {"sync_checkpointer": "sqlite", "async_checkpointer": "sqlite_aio"}  # fixture: its parameter


@contextmanager
def _fresh(url: str) -> Iterator[str]:
    """Give the address of a database that is new: a file beside the one named, or a schema in the one named."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            yield url
            return
        named = Path(parsed.database)
        fresh = named.with_name(f"{named.stem}_{secrets.token_hex(6)}{named.suffix}")
        yield parsed.set(database=str(fresh)).render_as_string(hide_password=False)
        for file in fresh.parent.glob(f"{fresh.name}*"):
            file.unlink()
        return
    schema = f"upstream_{secrets.token_hex(6)}"
    engine = create_engine(parsed.set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}"
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@contextmanager
def _ours() -> Iterator[object]:
    from engine.store.database import Database
    from engine.store.ledger import SqlLedger

    with _fresh(_DATABASE) as url:
        ledger = SqlLedger(Database.open(url, migrate=True))
        yield ledger.checkpoints
        asyncio.run(ledger.close())


@asynccontextmanager
async def _ours_async() -> AsyncIterator[object]:
    from engine.store.database import Database
    from engine.store.ledger import SqlLedger

    with _fresh(_DATABASE) as url:
        ledger = SqlLedger(Database.open(url, migrate=True))
        yield ledger.checkpoints
        await ledger.close()


def _is_replaced(item: pytest.Item) -> bool:
    given = item.callspec.params if hasattr(item, "callspec") else {}
    return any(given.get(fixture) == parameter for fixture, parameter in _REPLACED.items())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that run on a saver on SQLite, and put ours in its place."""
    ours = [item for item in items if _is_replaced(item)]
    config.hook.pytest_deselected(items=[item for item in items if not _is_replaced(item)])
    items[:] = ours
    if _DATABASE:
        from tests import conftest  # LangGraph's

        assert callable(conftest._checkpointer_sqlite), "LangGraph's conftest has changed: see to this plugin"
        assert callable(conftest._checkpointer_sqlite_aio), "LangGraph's conftest has changed: see to this plugin"
        conftest._checkpointer_sqlite = _ours
        conftest._checkpointer_sqlite_aio = _ours_async

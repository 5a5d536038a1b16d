"""The writer: bounded waiting for a locked database, and a connection that comes back."""

import asyncio
import sqlite3
import threading
import uuid
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, text

from engine.errors import StoreError
from engine.records import RunRecord, RunStatus
from engine.store.database import Database
from engine.store.ledger import SqlLedger
from engine.store.writer import Writer


def run(number: int) -> RunRecord:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    return RunRecord(run_id=f"{number:032x}", workflow="w", version="v", status=RunStatus.RUNNING, started_at=began)


async def test_a_locked_database_is_waited_for_a_while_and_then_named(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.store.database._BUSY_SECONDS", 0)
    monkeypatch.setattr("engine.store.transactions._LOCKED_WAITS", (0.01, 0.01))
    ledger = SqlLedger(Database.open(f"sqlite:///{tmp_path}/runs.db"))
    other = sqlite3.connect(tmp_path / "runs.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another process holds it"):
        await ledger.commit([run(1)])
    other.execute("ROLLBACK")
    other.close()
    await ledger.commit([run(2)])
    assert len(await ledger.runs()) == 1
    await ledger.close()


async def test_a_connection_that_was_cut_is_made_anew_and_nothing_is_lost(postgres_url):
    name = f"cut_{uuid.uuid4().hex[:8]}"
    ledger = SqlLedger(Database.open(f"{postgres_url}&application_name={name}", migrate=True))
    await ledger.commit([run(1)])
    other = Database.open(postgres_url)
    with other.engine.connect() as connection:
        kill = text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = :name")
        assert connection.execute(kill, {"name": name}).scalar() >= 1
    other.close()
    await ledger.commit([run(2)])
    assert {found.run_id for found in await ledger.runs()} == {run(1).run_id, run(2).run_id}
    await ledger.close()


async def test_what_a_cancelled_task_had_begun_to_write_is_written(postgres_url):
    name = f"cancelled_{uuid.uuid4().hex[:8]}"
    ledger = SqlLedger(Database.open(f"{postgres_url}&application_name={name}", migrate=True))
    for number in range(3):  # by the second the loop has a connection of its own
        await ledger.commit([run(number)])
    waits = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name AND wait_event_type = 'Lock'")
    other = Database.open(postgres_url)
    with other.engine.connect() as locking, other.engine.connect() as looking:
        locking.execute(text("LOCK TABLE runs IN EXCLUSIVE MODE"))
        writing = asyncio.create_task(ledger.commit([run(3)]))
        while not looking.execute(waits, {"name": name}).scalar():
            looking.rollback()
            await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    other.close()
    assert {found.run_id for found in await ledger.runs()} == {run(number).run_id for number in range(4)}
    await ledger.close()


async def test_what_nobody_waited_for_is_told_at_the_close(tmp_path):
    ledger = SqlLedger(Database.open(f"sqlite:///{tmp_path}/runs.db"))
    await ledger.commit([run(1)])
    ledger.submit([run(1)])
    with pytest.raises(StoreError):
        await ledger.close()


async def test_what_is_to_be_done_first_overtakes_what_is_queued(tmp_path):
    database = Database.open(f"sqlite:///{tmp_path}/runs.db", migrate=True)
    writer, done, has_begun, may_go_on = Writer(database), list[str](), threading.Event(), threading.Event()

    def hold_up(_connection: Connection) -> None:
        has_begun.set()
        may_go_on.wait()

    held = asyncio.create_task(writer.do(hold_up))
    await asyncio.to_thread(has_begun.wait)
    queued = asyncio.create_task(writer.do(lambda _: done.append("queued before")))
    await asyncio.sleep(0)
    first = asyncio.create_task(writer.do_first(lambda _: done.append("first")))
    await asyncio.sleep(0)
    may_go_on.set()
    await asyncio.gather(held, queued, first)
    assert done == ["first", "queued before"]
    writer.close()
    database.close()

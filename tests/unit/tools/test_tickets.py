"""Tickets: a side effect that happens once however often it is asked for."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine import StoreError
from tools.tickets import open_ticket, probe_ticket, report_outage, request_refund


@pytest.fixture(autouse=True)
def tickets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOWLEDGER_TICKETS", str(tmp_path / "tickets.db"))
    return tmp_path / "tickets.db"


def rows(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT queue, question, reason, priority FROM ticket ORDER BY number").fetchall()


async def test_each_tool_writes_to_its_queue(tickets: Path) -> None:
    ids = [
        await open_ticket("Where is it?", "no passage", "low", idempotency_key="a"),
        await request_refund("I want my money back", idempotency_key="b"),
        await report_outage("The shop is down", idempotency_key="c"),
    ]
    assert ids == ["T-000001", "T-000002", "T-000003"]
    assert rows(tickets) == [
        ("support", "Where is it?", "no passage", "low"),
        ("billing", "I want my money back", "refund", "normal"),
        ("operations", "The shop is down", "outage", "high"),
    ]


async def test_the_same_key_is_the_same_ticket(tickets: Path) -> None:
    first = await open_ticket("Where is it?", idempotency_key="a")
    again = await open_ticket("Where is it?", idempotency_key="a")
    other = await open_ticket("Where is it?", idempotency_key="b")
    assert (first, again, other) == ("T-000001", "T-000001", "T-000002")
    assert len(rows(tickets)) == 2


async def test_the_same_key_at_once_is_one_ticket(tickets: Path) -> None:
    ids = await asyncio.gather(*(open_ticket("Where is it?", idempotency_key="a") for _ in range(20)))
    assert set(ids) == {"T-000001"}
    assert len(rows(tickets)) == 1


async def test_a_probe_says_whether_a_ticket_was_opened() -> None:
    assert await probe_ticket("a") is None
    opened = await request_refund("Money back", idempotency_key="a")
    assert await probe_ticket("a") == opened


def test_a_file_that_cannot_be_used_is_a_clear_fault(tickets: Path) -> None:
    tickets.write_text("this is no database" * 100)
    with pytest.raises(StoreError, match="FLOWLEDGER_TICKETS"):
        asyncio.run(open_ticket("Where is it?", idempotency_key="a"))


async def test_tickets_lie_in_the_current_folder_unless_told(
    tickets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLOWLEDGER_TICKETS")
    monkeypatch.chdir(tmp_path)
    await open_ticket("Where is it?", idempotency_key="a")
    assert (tmp_path / "tickets.db").is_file()

"""Tickets: real side effects that a workflow can have, each opened once however often it is asked for."""

import asyncio
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from engine import StoreError

Priority = Literal["low", "normal", "high"]
Queue = Literal["support", "billing", "operations"]

_BUSY_SECONDS = 30.0
_TABLE = """
CREATE TABLE IF NOT EXISTS ticket (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    question TEXT NOT NULL,
    reason TEXT NOT NULL,
    priority TEXT NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE,
    opened_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)
"""

# One statement looks and writes, because two runs may open the same ticket at once; a conflict would skip a number.
_INSERT = """
INSERT INTO ticket (queue, question, reason, priority, idempotency_key)
SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM ticket WHERE idempotency_key = ?5)
"""


async def open_ticket(question: str, reason: str = "", priority: Priority = "normal", *, idempotency_key: str) -> str:
    """Hand a question to a person: open a ticket in the support queue.

    Args:
        question: what the person asked.
        reason: why it was not answered.
        priority: how soon it should be looked at.
        idempotency_key: names the action; the same key opens one ticket.

    Returns:
        The ticket's id, as in `T-000001`.

    Raises:
        StoreError: the tickets' file cannot be written.
    """
    return await asyncio.to_thread(_open, "support", question, reason, priority, idempotency_key)


async def request_refund(question: str, *, idempotency_key: str) -> str:
    """Ask for a refund: open a ticket in the billing queue.

    Args:
        question: what the person asked.
        idempotency_key: names the action; the same key opens one ticket.

    Returns:
        The ticket's id, as in `T-000001`.

    Raises:
        StoreError: the tickets' file cannot be written.
    """
    return await asyncio.to_thread(_open, "billing", question, "refund", "normal", idempotency_key)


async def report_outage(question: str, *, idempotency_key: str) -> str:
    """Report that something is down: open an urgent ticket in the operations queue.

    Args:
        question: what the person said.
        idempotency_key: names the action; the same key opens one ticket.

    Returns:
        The ticket's id, as in `T-000001`.

    Raises:
        StoreError: the tickets' file cannot be written.
    """
    return await asyncio.to_thread(_open, "operations", question, "outage", "high", idempotency_key)


async def probe_ticket(idempotency_key: str) -> str | None:
    """Say which ticket was opened under a key; None when none was.

    Raises:
        StoreError: the tickets' file cannot be read.
    """
    return await asyncio.to_thread(_find, idempotency_key)


def _open(queue: Queue, question: str, reason: str, priority: Priority, idempotency_key: str) -> str:
    with _tickets() as connection:
        connection.execute(_INSERT, (queue, question, reason, priority, idempotency_key))
        return _ids(connection, idempotency_key)[0]


def _find(idempotency_key: str) -> str | None:
    with _tickets() as connection:
        return next(iter(_ids(connection, idempotency_key)), None)


def _ids(connection: sqlite3.Connection, idempotency_key: str) -> list[str]:
    rows = connection.execute("SELECT number FROM ticket WHERE idempotency_key = ?", (idempotency_key,))
    return [f"T-{number:06d}" for (number,) in rows]


@contextmanager
def _tickets() -> Generator[sqlite3.Connection]:
    """Open the tickets' file for one piece of work; every statement commits by itself."""
    path = Path(os.environ.get("FLOWLEDGER_TICKETS") or "tickets.db")
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute(_TABLE)
            yield connection
    except sqlite3.Error as error:
        raise StoreError(
            f"The tickets' file {str(path)!r} cannot be used ({error}): set FLOWLEDGER_TICKETS to another file."
        ) from error

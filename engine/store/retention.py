"""What is deleted of runs that ended long ago, and of workers: first a plan that says how much, then the deletion.

A run that is running, or that waits for a person, keeps all that it has.
"""

import asyncio
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from engine.errors import InputError
from engine.store.checkpoint_codec import addresses_in
from engine.store.collection import Swept, mark, read, sweep
from engine.store.database import Database
from engine.store.ended_runs import OF_RUN, Amount, Amounts, Scope, delete_orphans
from engine.store.gone_workers import count_gone, delete_gone
from engine.store.kept_answers import count_expired, delete_expired
from engine.store.ledger import SqlLedger
from engine.store.payload_map import Progress, read_map, roots


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted, and what became of the payloads."""

    amounts: Amounts
    payloads: Swept


async def plan(ledger: SqlLedger, scope: Scope, on_progress: Progress | None = None) -> Amounts:
    """Say what would be deleted; payloads that become free by it are counted too.

    Raises:
        StoreError: the database refused.
    """

    def count(connection: Connection) -> Amounts:
        payloads = read_map(connection, on_progress)
        gone = scope.ended if scope.whole_runs else None
        kept = roots(connection, partial(addresses_in, ledger.checkpoints.serde), scope.kept_streams, gone)
        reached = payloads.reached_from(connection, kept)
        stored = [one for sizes in (payloads.sizes, *payloads.aside.values()) for one in sizes.items()]
        free = [size for address, size in stored if address not in reached]
        others = {
            "workers": count_gone(connection, scope.older_than),
            "cache_entries": count_expired(connection, datetime.now(UTC)),
        }
        return scope.amounts(connection) | others | {"payloads": Amount(len(free), sum(free))}

    return await read(ledger, count)


async def prune(ledger: SqlLedger, scope: Scope, on_progress: Progress | None = None) -> Pruned:
    """Delete it, some runs a transaction; what runs in progress need stays, whatever they do meanwhile.

    Raises:
        StoreError: the database refused; what was deleted until then is gone, and the rest is as it was.
    """
    tables = [table.name for table in OF_RUN if scope.whole_runs]
    amounts = {"checkpoints": Amount(0, 0)} | dict.fromkeys(tables, Amount())
    last: str | None = ""
    runs = 0
    while last is not None:
        last, some, deleted = await ledger.change(partial(scope.delete_some, after=last))
        amounts |= {name: amounts[name] + amount for name, amount in deleted.items()}
        runs += some
        if on_progress is not None:
            on_progress("deleting runs" if scope.whole_runs else "deleting checkpoints", runs, runs)
    while (orphans := await ledger.change(delete_orphans)).rows:
        amounts["checkpoints"] += orphans
    amounts["workers"] = await ledger.change(partial(delete_gone, before=scope.older_than))
    amounts["cache_entries"] = await ledger.change(partial(delete_expired, now=datetime.now(UTC)))
    swept = await sweep(ledger, await mark(ledger, on_progress), on_progress)
    return Pruned(amounts | {"payloads": Amount(swept.rows, swept.bytes)}, swept)


async def vacuum(database: Database) -> tuple[int, int]:
    """Give what is free in a SQLite file back to the disk; say how many bytes it took and takes.

    Raises:
        InputError: the database is not SQLite.
        StoreError: the database refused.
    """
    if not database.is_sqlite:
        raise InputError("--vacuum is for SQLite; PostgreSQL uses again by itself what has become free")
    return await asyncio.to_thread(_vacuum, database)


def _vacuum(database: Database) -> tuple[int, int]:
    raw = database.engine.raw_connection()  # VACUUM runs in no transaction
    try:
        cursor = raw.cursor()
        before = _bytes_of(cursor)
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before, _bytes_of(cursor)
    except sqlite3.Error as error:
        raise database.error(error) from error
    finally:
        raw.close()


def _bytes_of(cursor: Any) -> int:
    pages: int = cursor.execute("PRAGMA page_count").fetchone()[0]
    return pages * int(cursor.execute("PRAGMA page_size").fetchone()[0])

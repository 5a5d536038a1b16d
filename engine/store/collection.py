"""Deletes the payloads that nothing refers to, while other processes go on writing.

A payload that is there already is not written again by those who refer to it, so what looks unused may be about to be
used. Hence three phases. Mark: find what nothing reaches, without a lock. Set aside: rename it, a chunk a transaction,
so that whoever comes to need it writes it anew. Sweep: look again at what rows refer to; what is reached after all gets
its name back, and the rest is deleted, once the runs that were in progress when it was set aside have ended: such a run
may hold addresses that it has not yet written into a row.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection, bindparam, delete, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from engine.records import RunStatus
from engine.store import tables
from engine.store.lease import is_alive
from engine.store.ledger import SqlLedger
from engine.store.payload_map import ASIDE, Fences, PayloadMap, Progress, read_map, roots
from engine.store.statements import insert_once

Read = TypeVar("Read")
_MOST = 500  # payloads in one transaction
_MOST_BYTES = 8 * 2**20
_table = tables.payloads


@dataclass(slots=True)
class Marked:
    """What there was, and what nothing reached."""

    payloads: PayloadMap
    unreached: set[str]


@dataclass(slots=True)
class Swept:
    """What became of the payloads that nothing reached.

    Attributes:
        waiting: those set aside until the runs in progress have ended; a later sweep deletes them.
    """

    rows: int = 0
    bytes: int = 0
    waiting: int = 0
    runs_in_progress: set[str] = field(default_factory=set[str])


async def mark(ledger: SqlLedger, on_progress: Progress | None = None) -> Marked:
    """Find what nothing reaches."""

    def look(connection: Connection) -> Marked:
        payloads = read_map(connection, on_progress)  # first, so that what comes meanwhile is no candidate
        reached = payloads.reached_from(connection, _all_roots(ledger, connection))
        return Marked(payloads, payloads.sizes.keys() - reached)

    return await read(ledger, look)


async def sweep(ledger: SqlLedger, marked: Marked, on_progress: Progress | None = None) -> Swept:
    """Delete what nothing reached, and what an earlier sweep had to leave; what has come to be used since stays."""
    payloads = marked.payloads
    round_, tell = secrets.token_hex(4), on_progress or (lambda *_: None)
    candidates = {address: payloads.sizes[address] for address in marked.unreached}
    if candidates:
        payloads.aside[round_] = candidates
    for done, chunk in _chunks(candidates):
        await ledger.change(lambda connection, chunk=chunk: _set_aside(connection, round_, chunk))
        tell("setting payloads aside", done, len(candidates))
    waiting = {one: await ledger.change(lambda connection, one=one: _wait(connection, one)) for one in payloads.aside}
    # All that runs which are over by now have written is seen from here on.
    reached = await read(
        ledger, lambda connection: payloads.reached_from(connection, _all_roots(ledger, connection))
    )
    swept = Swept()
    for one, sizes in payloads.aside.items():
        back = {address: size for address, size in sizes.items() if address in reached}
        free = {address: size for address, size in sizes.items() if address not in reached}
        for _, chunk in _chunks(back):
            await ledger.change(lambda connection, one=one, chunk=chunk: _put_back(connection, one, chunk))
        if waiting[one]:
            swept.waiting += len(free)
            swept.runs_in_progress |= waiting[one].keys()
            continue
        for done, chunk in _chunks(free):
            await ledger.change(lambda connection, one=one, chunk=chunk: _delete(connection, one, chunk))
            tell("deleting payloads", done, len(free))
        await ledger.change(lambda connection, one=one: _delete(connection, one, [""]))
        swept.rows += len(free)
        swept.bytes += sum(free.values())
    return swept


async def read(ledger: SqlLedger, question: Callable[[Connection], Read]) -> Read:
    """Ask a long question in a thread, so that the runs of this process go on.

    Raises:
        StoreError: the database refused.
    """

    def ask() -> Read:
        try:
            with ledger.database.engine.connect() as connection:
                return question(connection)
        except SQLAlchemyError as error:
            raise ledger.database.error(error) from error

    await ledger.commit()
    return await asyncio.to_thread(ask)


def _all_roots(ledger: SqlLedger, connection: Connection) -> Iterator[str]:
    return roots(connection, ledger.checkpoints.serde, select(tables.checkpoint_streams.c.sid))


def _set_aside(connection: Connection, round_: str, chunk: Iterable[str]) -> None:
    """Rename payloads, while nobody is between finding one there and committing what refers to it."""
    _exclude_writers(connection)
    renamed = update(_table).where(_table.c.sha256.in_(list(chunk)))
    connection.execute(renamed.values(sha256=_table.c.sha256 + f"{ASIDE}{round_}"))


def _wait(connection: Connection, round_: str) -> Fences:
    """Give the runs that must end before a round is deleted; those of a new round are written down."""
    runs = tables.runs.c
    found = connection.execute(select(runs.run_id, runs.fence, runs.worker_id).where(runs.status == RunStatus.RUNNING))
    rows = found.all()
    alive = {worker for worker in {row.worker_id for row in rows} if is_alive(connection, worker)}
    living: Fences = {row.run_id: row.fence for row in rows if row.worker_id in alive}
    noted = connection.scalar(select(_table.c.content).where(_table.c.sha256 == f"{ASIDE}{round_}"))
    if noted is not None:
        before: Mapping[str, int] = json.loads(noted)
        return {run_id: fence for run_id, fence in living.items() if before.get(run_id) == fence}
    if living:
        content = json.dumps(living).encode()
        values = {"sha256": f"{ASIDE}{round_}", "encoding": "identity", "size": len(content), "content": content}
        connection.execute(insert_once(_table, connection.dialect.name), values)
    return living


def _put_back(connection: Connection, round_: str, chunk: Iterable[str]) -> None:
    """Give payloads their names again, unless somebody has written them anew."""
    _exclude_writers(connection)
    wanted = list(chunk)
    there = set(connection.scalars(select(_table.c.sha256).where(_table.c.sha256.in_(wanted))))
    _delete(connection, round_, there)
    renamed = update(_table).where(_table.c.sha256 == bindparam("named")).values(sha256=bindparam("address"))
    names = [{"named": f"{one}{ASIDE}{round_}", "address": one} for one in wanted if one not in there]
    if names:
        connection.execute(renamed, names)


def _delete(connection: Connection, round_: str, chunk: Iterable[str]) -> None:
    connection.execute(delete(_table).where(_table.c.sha256.in_([f"{one}{ASIDE}{round_}" for one in chunk])))


def _exclude_writers(connection: Connection) -> None:
    """Wait for transactions that write payloads, and keep others out; SQLite has one writer as it is."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("LOCK TABLE payloads IN SHARE ROW EXCLUSIVE MODE"))


def _chunks(sizes: Mapping[str, int]) -> Iterator[tuple[int, list[str]]]:
    """Give addresses, as many as go into a short transaction, and how many that makes so far."""
    chunk: list[str] = []
    done = size = 0
    for address in sorted(sizes):
        chunk.append(address)
        size += sizes[address]
        if len(chunk) >= _MOST or size >= _MOST_BYTES:
            done += len(chunk)
            yield done, chunk
            chunk, size = [], 0
    if chunk:
        yield done + len(chunk), chunk

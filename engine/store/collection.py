"""Deletes the payloads that nothing refers to, while other processes go on writing.

A payload that is there already is not written again by those who refer to it, so what looks unused may be about to be
used. Hence three phases. Mark: find what nothing reaches, without a lock. Set aside: rename it, a chunk a transaction,
so that whoever comes to need it writes it anew. Sweep: look again at what rows refer to; what is reached after all gets
its name back, and the rest is deleted, once the runs that were in progress when it was set aside have ended: such a run
may hold addresses that it has not yet written into a row.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from engine.store import objects, tables
from engine.store.checkpoint_codec import addresses_in
from engine.store.ledger import SqlLedger
from engine.store.payload_map import PayloadMap, Progress, read_map, roots
from engine.store.set_aside import discard, put_back, set_aside, wait

Read = TypeVar("Read")
_MOST = 500  # payloads in one transaction
_MOST_BYTES = 8 * 2**20


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
    round_, tell = secrets.token_hex(4), on_progress or _in_silence
    candidates = {address: payloads.sizes[address] for address in marked.unreached}
    if candidates:
        payloads.aside[round_] = candidates
    for done, chunk in chunks(candidates):
        await ledger.change(lambda connection, chunk=chunk: set_aside(connection, round_, chunk))
        tell("setting payloads aside", done, len(candidates))
    waiting = {one: await ledger.change(lambda connection, one=one: wait(connection, one)) for one in payloads.aside}
    # All that runs which are over by now have written is seen from here on.
    reached = await read(ledger, lambda connection: payloads.reached_from(connection, _all_roots(ledger, connection)))
    swept = Swept()
    for one, sizes in payloads.aside.items():
        back = {address: size for address, size in sizes.items() if address in reached}
        free = {address: size for address, size in sizes.items() if address not in reached}
        for _, chunk in chunks(back):
            await ledger.change(lambda connection, one=one, chunk=chunk: put_back(connection, one, chunk))
        if waiting[one]:
            swept.waiting += len(free)
            swept.runs_in_progress |= waiting[one].keys()
            continue
        for done, chunk in chunks(free):
            moved = await ledger.change(lambda connection, one=one, chunk=chunk: discard(connection, one, chunk))
            for folder, addresses in moved.items():
                await asyncio.to_thread(objects.remove, folder, addresses)
            tell("deleting payloads", done, len(free))
        await ledger.change(lambda connection, one=one: discard(connection, one, [""]))
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
    return roots(connection, partial(addresses_in, ledger.checkpoints.serde), select(tables.checkpoint_streams.c.sid))


def chunks(sizes: Mapping[str, int]) -> Iterator[tuple[int, list[str]]]:
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


def _in_silence(what: str, done: int, total: int) -> None:
    """Tell nobody."""

"""Moves contents that only runs of long ago need out of the database, into object storage; they are read as before.

A payload that refers to others stays, so that what can be reached is found out without reading what has been moved.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import Connection, select, update

from engine.store import objects, tables
from engine.store.checkpoint_codec import addresses_in
from engine.store.collection import chunks, read
from engine.store.ended_runs import Scope
from engine.store.ledger import SqlLedger
from engine.store.objects import OBJECT
from engine.store.payload_map import Progress, read_map, roots
from engine.store.reader import plain_content

_table = tables.payloads


async def plan(
    ledger: SqlLedger, scope: Scope, larger_than: int, on_progress: Progress | None = None
) -> Mapping[str, int]:
    """Give the payloads that would be moved, and the bytes that each takes in the database.

    Args:
        ledger: the ledger.
        scope: the runs of long ago; what other rows need stays.
        larger_than: bytes; what takes no more stays.
        on_progress: is told how far it has come.

    Raises:
        StoreError: the database refused.
    """

    def look(connection: Connection) -> Mapping[str, int]:
        payloads = read_map(connection, on_progress)
        kept = roots(connection, partial(addresses_in, ledger.checkpoints.serde), scope.kept_streams, scope.ended)
        reached = payloads.reached_from(connection, kept)
        stays = reached | payloads.references.keys() | payloads.moved
        return {one: size for one, size in payloads.sizes.items() if size > larger_than and one not in stays}

    return await read(ledger, look)


async def offload(
    ledger: SqlLedger, folder: str, planned: Mapping[str, int], on_progress: Progress | None = None
) -> None:
    """Move payloads, some at a time: written there first, and then taken out of the database.

    Raises:
        ConfigurationError: fsspec does not know how to reach such a folder.
        StoreError: the database refused, or the folder cannot be written; what was moved until then is moved.
    """
    for done, chunk in chunks(planned):
        contents = await read(ledger, partial(_contents, addresses=chunk))
        await asyncio.to_thread(objects.write, folder, contents)
        await ledger.change(partial(_point_to, folder=folder, addresses=list(contents)))
        if on_progress is not None:
            on_progress("moving payloads", done, len(planned))


def _contents(connection: Connection, addresses: Sequence[str]) -> dict[str, bytes]:
    query = select(_table.c.sha256, _table.c.encoding, _table.c.content).where(
        _table.c.sha256.in_(addresses), _table.c.encoding != OBJECT
    )
    return {row.sha256: plain_content(row.encoding, row.content) for row in connection.execute(query)}


def _point_to(connection: Connection, folder: str, addresses: Sequence[str]) -> None:
    moved = update(_table).where(_table.c.sha256.in_(addresses), _table.c.encoding != OBJECT)
    connection.execute(moved.values(encoding=OBJECT, content=folder.encode()))

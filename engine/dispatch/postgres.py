"""Hints over PostgreSQL: NOTIFY after the commit, LISTEN on a connection of its own."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from engine.dispatch.again import again
from engine.dispatch.crowd import Crowd
from engine.dispatch.outgoing import Outgoing
from engine.dispatch.stopping import stop
from engine.ports import Ear, Hint

if TYPE_CHECKING:  # PostgreSQL's driver is an extra
    from psycopg import AsyncConnection

_MOST_BYTES = 7000  # of a payload; the server takes 8000
_MOST_NAME = 63  # bytes of a channel


class Postgres:
    """Tells every worker on a database which queues have something.

    Args:
        arguments: what psycopg connects with.
        chance: draws a number from 0 to 1.
    """

    def __init__(self, arguments: tuple[Sequence[Any], Mapping[str, Any]], chance: Callable[[], float]) -> None:
        self._arguments = arguments
        self._chance = chance
        self._outgoing = Outgoing(self._notify)
        self._sender: AsyncConnection[Any] | None = None
        self._channel = ""

    def send(self, hints: Sequence[Hint]) -> None:
        """Say that runs may be taken; returns at once."""
        self._outgoing.put(hints)

    async def listen(self, ear: Ear) -> NoReturn:
        """Have a worker look whenever one of its queues is spoken of, until cancelled."""
        await again(lambda began: self._listen(ear, began), "PostgreSQL's NOTIFY", ear)

    async def close(self) -> None:
        """Send what waits, and close the connection."""
        await self._outgoing.close()
        await self._hang_up()

    async def _notify(self, hints: Sequence[Hint]) -> None:
        """Say it in one transaction; nothing waits for the disk while it has the lock of all notifying ones."""
        try:
            if self._sender is None:
                self._sender = await self._connected()
                self._channel = await _channel(self._sender)
                await self._sender.execute("SET synchronous_commit = off")
            said = json.dumps(Counter(hint.queue for hint in hints), ensure_ascii=False)
            if len(said.encode()) > _MOST_BYTES:
                said = ""
            await self._sender.execute("SELECT pg_notify(%s, %s)", (self._channel, said))
        except BaseException:
            await self._hang_up()
            raise

    async def _listen(self, ear: Ear, began: Callable[[], None]) -> None:
        from psycopg.sql import SQL, Identifier

        async with await self._connected() as connection:
            channel = await _channel(connection)
            await connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
            began()
            crowd = Crowd(self._chance)
            looking = asyncio.create_task(_look(crowd, ear))
            try:
                crowd.told(1, 1)  # what was said before was not heard
                async for said in connection.notifies():
                    if runs := _runs(said.payload, ear):
                        crowd.told(runs, ear.peers)
            finally:
                crowd.rest()
                await stop([looking])
        raise ConnectionError("the connection was closed")

    async def _connected(self) -> "AsyncConnection[Any]":
        from psycopg import AsyncConnection

        places, names = self._arguments
        return await AsyncConnection.connect(*places, **names, autocommit=True)

    async def _hang_up(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            await sender.close()


async def _channel(connection: "AsyncConnection[Any]") -> str:
    """Name the channel of a ledger: databases have theirs by themselves, schemas in a database do not."""
    row = await (await connection.execute("SELECT current_schema()")).fetchone()
    schema = (row and row[0]) or ""
    return f"flowledger.{schema}".encode()[:_MOST_NAME].decode(errors="ignore")


async def _look(crowd: Crowd, ear: Ear) -> None:
    """Have a worker look whenever it is its turn, while others go on listening: who does not read holds all up."""
    while True:
        await crowd.wait()
        await ear.look()


def _runs(payload: str, ear: Ear) -> int:
    """Say how many runs a payload speaks of that may be for a worker; a payload that says nothing may be for all."""
    try:
        said = json.loads(payload)
        return sum(int(said.get(queue, 0)) for queue in ear.queues)
    except (ValueError, TypeError, AttributeError):  # cut short, or somebody else's
        return 1

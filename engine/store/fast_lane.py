"""A loop's own connection to PostgreSQL: a commit that nobody is ahead of needs no other thread to be woken."""

import asyncio
import contextlib
from typing import Any

from engine.crash_points import reach
from engine.store.database import Database, lock_timeout_ms
from engine.store.one_statement import OneStatement
from engine.store.transactions import BY_INDEX


class FastLane:
    """Runs single statements over a connection of one event loop, which is opened in the background when first needed.

    Whatever goes wrong here is tried again by the writer's thread, which knows how to wait and what to say.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Task[None] | None = None
        self._connection: Any = None
        self._cursor: Any = None

    def is_open(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Say whether a statement can be run now; if not, it may be soon."""
        if self._database.is_sqlite or (self._loop is not None and self._loop is not loop):
            return False
        if self._connection is None and (self._opening is None or self._opening.done()):
            self._loop, self._opening = loop, loop.create_task(self._open())
        return self._connection is not None

    async def execute(self, one: OneStatement) -> Any:
        """Run a statement, which commits by itself, and give its one row."""
        try:
            reach("before commit")
            await self._cursor.execute(one.sql, one.values)
            row = await self._cursor.fetchone()
            reach("after commit")
            return row
        except BaseException:
            self._drop()
            raise

    async def close(self) -> None:
        """Close the connection, from whichever loop; a later statement opens another."""
        if self._loop is asyncio.get_running_loop() and self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        self._drop()
        self._loop = self._opening = None

    async def _open(self) -> None:
        from psycopg import AsyncConnection, AsyncRawCursor, Error  # PostgreSQL's driver is an extra

        places, names = self._database.driver_arguments
        bound = str(lock_timeout_ms())
        with contextlib.suppress(Error, OSError):  # the thread says what is wrong
            connection = await AsyncConnection.connect(*places, **names, autocommit=True)
            try:
                await connection.execute("SELECT set_config('lock_timeout', %s, false)", (bound,))
                await connection.execute(BY_INDEX)
            except BaseException:
                await connection.close()
                raise
            self._connection, self._cursor = connection, AsyncRawCursor(connection)

    def _drop(self) -> None:
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            connection.pgconn.finish()  # what its own `close` does, without a loop

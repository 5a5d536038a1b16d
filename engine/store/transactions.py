"""Transactions that outlive a locked file, a cut connection and a server that restarts, for a bounded while."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from engine.crash_points import reach
from engine.store.database import GONE, Database

Result = TypeVar("Result")

_LOCKED_WAITS = (0.05, 0.2, 1.0)  # seconds between attempts at a locked file, after SQLite's own waiting
_LOST_WAITS = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # the same for a server that has gone; it may restart
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_TRY_AGAIN = GONE | {"40001", "40P01", "55P03", "53300"}  # serialization, deadlock, lock, too many connections
_NUMBER = text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)")

BY_INDEX = "SET enable_seqscan = off"
"""Has PostgreSQL find rows by index, also by plans that it made when the tables were small or not looked at yet."""


class Transactions:
    """Runs transactions over one connection, which is made anew when it was lost.

    Patience is for the database, not for each transaction: once it has been away for too long, what comes next is tried
    once, until it is back.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._waits: Iterator[float] | None = None  # what is left of the patience; None while all is well

    def run(
        self,
        work: Callable[[Connection], Result],
        *,
        repeatable: bool,
        waits: bool = True,
        is_one: bool = False,
    ) -> Result:
        """Do some work in a transaction; where it was cut off, do it again.

        Args:
            work: what is done over the connection; it must be able to run more than once.
            repeatable: whether committing it twice is the same as once. If not, a commit whose answer was lost is
                asked about before the work is done again.
            waits: whether to wait for a database that is locked or away, and try again.
            is_one: whether the work is one statement of PostgreSQL, which commits by itself.

        Raises:
            SQLAlchemyError: the database refused, or was away for too long.
        """
        asks = not (repeatable or self._database.is_sqlite)
        done: tuple[Result, str | None] | None = None  # what was done, and its number; None if it has written nothing
        while True:
            try:
                connection = self._connected()
                if done is not None and (done[1] is None or _has_committed(connection, done[1])):
                    self._waits = None
                    return done[0]
                done = None
                if is_one:
                    result = _in_one(connection, work)
                    self._waits = None
                    return result
                with connection.begin() as transaction:
                    result = work(connection)
                    if asks:
                        done = result, connection.scalar(_NUMBER)
                    reach("before commit")
                    transaction.commit()
                self._waits = None
                reach("after commit")
                return result
            except DBAPIError as error:
                self.disconnect()
                wait = self._next_wait() if waits and may_pass(error) else None
                if wait is None:
                    raise
                time.sleep(wait)
            except BaseException:
                self.disconnect()
                raise

    def disconnect(self) -> None:
        """Let the connection go; the next transaction makes a new one."""
        if self._connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                if not self._database.is_sqlite:
                    self._connection.invalidate()  # for nobody else: it may be broken, and finds rows by index alone
                self._connection.close()
        self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._database.engine.connect().execution_options(writes=True)
            if not self._database.is_sqlite:
                self._connection.exec_driver_sql(BY_INDEX)
                self._connection.commit()
        return self._connection

    def _next_wait(self) -> float | None:
        if self._waits is None:
            self._waits = iter(_LOCKED_WAITS if self._database.is_sqlite else _LOST_WAITS)
        return next(self._waits, None)


def _in_one(connection: Connection, work: Callable[[Connection], Result]) -> Result:
    driver: Any = connection.connection.driver_connection
    driver.autocommit = True
    try:
        reach("before commit")
        result = work(connection)
    except DBAPIError as error:
        if error.connection_invalidated:
            connection.invalidate(error)
        raise
    finally:
        if not driver.closed:
            driver.autocommit = False
    reach("after commit")
    return result


def may_pass(error: DBAPIError) -> bool:
    """Say whether a database may recover from an error by itself: a lock, a cut connection, a server that restarts."""
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _LOCKED
    state = getattr(error.orig, "sqlstate", None)  # a server that is gone says none
    return error.connection_invalidated or state in _TRY_AGAIN or (not state and isinstance(error, OperationalError))


def _has_committed(connection: Connection, number: str) -> bool:
    """Ask PostgreSQL whether a transaction whose end nobody heard of was committed; one in progress is waited for."""
    with connection.begin():
        status = connection.scalar(text("SELECT pg_xact_status(CAST(:number AS xid8))"), {"number": number})
    if status == "in progress":
        raise OperationalError("the transaction is still in progress", None, Exception("in progress"))
    return status == "committed"

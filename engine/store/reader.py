"""Reads over connections that write nothing, after all that was submitted before."""

import asyncio
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from engine.payloads import addresses_in, field_of, is_address, references_in, unpack
from engine.store import objects, tables
from engine.store.database import Database
from engine.store.objects import OBJECT
from engine.store.transactions import may_pass
from engine.store.writer import Writer

Read = TypeVar("Read")
_WAITS = (0.05, 0.2, 0.5, 1.0, 2.0)  # seconds between attempts at a server that has gone; it may restart
_AT_ONCE = 500  # addresses in one question


class Reader:
    """Asks questions of the database; what this process has written before is always seen."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def read(self, question: Callable[[Connection], Read]) -> Read:
        """Ask a question.

        Raises:
            StoreError: the database refused.
        """
        if not self._writer.is_idle:
            await self._writer.commit()
        if self._database.is_sqlite:
            return self._ask(question)  # a file that this machine has is read faster than a thread is woken
        asking = asyncio.create_task(asyncio.to_thread(self._ask, question))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:  # the thread reads on; its connection is given back before anybody closes it
            while not asking.done():
                with suppress(asyncio.CancelledError):  # who stops something cancels it until it has ended
                    await asyncio.wait([asking])
            _ = asking.cancelled() or asking.exception()  # nobody is left to hear of it
            raise

    def read_now(self, question: Callable[[Connection], Read]) -> Read:
        """Ask a question from a thread that may wait."""
        if not self._writer.is_idle:
            self._writer.commit_now()
        return self._ask(question)

    def _ask(self, question: Callable[[Connection], Read]) -> Read:
        waits = iter(() if self._database.is_sqlite else _WAITS)
        while True:
            try:
                with self._database.engine.connect() as connection:
                    return question(connection)
            except SQLAlchemyError as error:
                wait = next(waits, None) if isinstance(error, DBAPIError) and may_pass(error) else None
                if wait is None:
                    raise self._database.error(error) from error
            time.sleep(wait)  # in a thread: only questions to a server are asked again


def contents_at(connection: Connection, addresses: Iterable[str]) -> dict[str, str]:
    """Give the content at addresses and at every address that these refer to."""
    found: dict[str, str] = {}
    wanted = set(addresses)
    while wanted:
        fresh = content_at(connection, wanted)
        found |= fresh
        wanted = {address for text in fresh.values() for address in references_in(text)} - found.keys()
    return found


def content_at(connection: Connection, addresses: Iterable[str]) -> dict[str, str]:
    """Give the content at addresses, with references where they stand."""
    table = tables.payloads
    found: dict[str, str] = {}
    wanted = sorted(set(addresses))
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        query = select(table.c.sha256, table.c.encoding, table.c.content)
        found |= texts_of(connection.execute(query.where(table.c.sha256.in_(some))))
        for address in [one for one in some if one not in found]:  # it may be set aside, to be deleted or not
            aside = query.where(table.c.sha256.startswith(f"{address}~", autoescape=True)).limit(1)
            found |= texts_of((address, encoding, content) for _, encoding, content in connection.execute(aside))
    return found


def fields_at(connection: Connection, wanted: Sequence[tuple[str | None, str]]) -> list[str | None]:
    """Give what stands for a field of each object that a column names; the rest of an object is not read."""
    contents = content_at(connection, {name for name, _ in wanted if name is not None and is_address(name)})
    return [None if name is None else field_of(contents.get(name, name), field) for name, field in wanted]


def values_at(connection: Connection, names: Sequence[str | None]) -> list[Any]:
    """Give the value of each name, None where there is none.

    Raises:
        KeyError: the content at this address is not there.
    """
    contents = contents_at(connection, {address for name in names for address in addresses_in(name)})
    return [None if name is None else unpack(name, contents.__getitem__) for name in names]


def texts_of(rows: Iterable[Any]) -> dict[str, str]:
    """Give the texts of payloads by their addresses, from addresses, encodings and contents.

    Raises:
        ConfigurationError, StoreError: one has been moved to object storage, and cannot be read there.
    """
    found: dict[str, str] = {}
    moved: dict[str, list[str]] = {}
    for address, encoding, content in rows:
        if encoding == OBJECT:
            moved.setdefault(content.decode(), []).append(address)
        else:
            found[address] = _text(plain_content(encoding, content))
    for folder, addresses in moved.items():
        found |= {address: _text(content) for address, content in objects.read(folder, addresses).items()}
    return found


def plain_content(encoding: str, content: bytes) -> bytes:
    """Give the content of a payload that is in the database, as it was before it was compressed."""
    return zlib.decompress(content) if encoding == "zlib" else content


def _text(content: bytes) -> str:
    return content.decode(errors="surrogatepass")

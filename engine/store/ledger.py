"""The ledger in SQL: written by one thread, read by whoever asks."""

import asyncio
import zlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, Table, select
from sqlalchemy.exc import SQLAlchemyError

from engine.errors import InputError
from engine.payloads import references_in
from engine.records import CallRecord, PayloadRecord, Record, RunRecord, RunStatus, StepRecord, VerdictRecord
from engine.store import tables
from engine.store.database import Database
from engine.store.writer import Writer

Row = TypeVar("Row")
Read = TypeVar("Read")


class SqlLedger:
    """Implements the port `Ledger` on a database, and answers questions about runs."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._writer = Writer(database)

    def submit(self, records: Iterable[Record]) -> None:
        """Queue records to be written; returns at once."""
        self._writer.submit(records)

    async def commit(self, records: Iterable[Record] = ()) -> None:
        """Queue records and wait until they and everything before are durable.

        Raises:
            StoreError: the database refused.
        """
        await self._writer.commit(records)

    async def finish(self, record: RunRecord) -> None:
        """Write how a run ended over the row it began with, and wait until it is durable."""
        await self._writer.commit(finish=record)

    async def close(self) -> None:
        """Write what is queued and close the database."""
        try:
            await asyncio.to_thread(self._writer.close)
        finally:
            self.database.close()

    async def run(self, run_id: str) -> RunRecord:
        """Give the run of an id, or of a beginning or end of one.

        Raises:
            InputError: no run has it, or several do.
        """
        column = tables.runs.c.run_id
        fits = column.startswith(run_id, autoescape=True) | column.endswith(run_id, autoescape=True)
        found = await self._all(RunRecord, tables.runs, select(tables.runs).where(fits).limit(2))
        if not run_id or not found:
            raise InputError(f"no run has the id {run_id!r}; `flowledger runs` lists them")
        if len(found) > 1:
            raise InputError(f"several runs have ids that begin or end with {run_id!r}: give more of it")
        return found[0]

    async def runs(
        self,
        *,
        status: str | None = None,
        workflow: str | None = None,
        tenant: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
    ) -> list[RunRecord]:
        """Give runs, newest first."""
        table = tables.runs
        query = select(table).order_by(table.c.started_at.desc(), table.c.run_id.desc()).limit(limit)
        for column, value in ((table.c.status, status), (table.c.workflow, workflow), (table.c.tenant, tenant)):
            query = query if value is None else query.where(column == value)
        query = query if since is None else query.where(table.c.started_at >= since)
        return await self._all(RunRecord, table, query)

    async def steps(self, run_id: str) -> list[StepRecord]:
        """Give the steps of a run, in the order in which they began."""
        table = tables.steps
        query = select(table).where(table.c.run_id == run_id).order_by(table.c.seq, table.c.step_id)
        return await self._all(StepRecord, table, query)

    async def calls(self, run_id: str) -> list[CallRecord]:
        """Give the attempts of a run, in the order in which they began."""
        table = tables.calls
        order = (table.c.started_at, table.c.step_id, table.c.ordinal, table.c.attempt)
        return await self._all(CallRecord, table, select(table).where(table.c.run_id == run_id).order_by(*order))

    async def verdicts(self, run_id: str) -> list[VerdictRecord]:
        """Give what guardrails said in a run, in order."""
        table = tables.verdicts
        return await self._all(VerdictRecord, table, select(table).where(table.c.run_id == run_id).order_by(table.c.id))

    async def payload(self, sha256: str) -> PayloadRecord | None:
        """Read a payload back."""
        found = await self.contents(sha256)
        return PayloadRecord(sha256=sha256, content=found[sha256]) if sha256 in found else None

    async def contents(self, sha256: str) -> dict[str, str]:
        """Give the content at an address and at every address that it refers to."""
        found: dict[str, str] = {}
        wanted = {sha256}
        while wanted:
            table = tables.payloads
            query = select(table.c.sha256, table.c.encoding, table.c.content).where(table.c.sha256.in_(wanted))
            rows = await self._rows(query)
            fresh = {row.sha256: _plain(row.encoding, row.content) for row in rows}
            found |= fresh
            wanted = {address for text in fresh.values() for address in references_in(text)} - found.keys()
        return found

    async def read(self, question: Callable[[Connection], Read]) -> Read:
        """Ask a question over a connection that writes nothing, after all that was submitted before.

        Raises:
            StoreError: the database refused.
        """
        await self._writer.commit()

        def ask() -> Read:
            try:
                with self.database.engine.connect() as connection:
                    return question(connection)
            except SQLAlchemyError as error:
                raise self.database.error(error) from error

        return ask() if self.database.is_sqlite else await asyncio.to_thread(ask)

    async def _rows(self, query: Executable) -> Sequence[Any]:
        return await self.read(lambda connection: connection.execute(query).all())

    async def _all(self, record: type[Row], table: Table, query: Executable) -> list[Row]:
        names = [column.name for column in table.columns if column.name != "id"]
        found = [record(**{name: getattr(row, name) for name in names}) for row in await self._rows(query)]
        for one in found:
            if isinstance(one, RunRecord):
                one.status = RunStatus(one.status)
        return found


def _plain(encoding: str, content: bytes) -> str:
    return (zlib.decompress(content) if encoding == "zlib" else content).decode(errors="surrogatepass")

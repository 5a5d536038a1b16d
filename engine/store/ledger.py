"""The ledger in SQL: written by one thread, read by whoever asks."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Executable, select

from engine.errors import InputError
from engine.payloads import addresses_in
from engine.ports import Dispatcher
from engine.records import (
    CallRecord,
    EventRecord,
    OutcomeRecord,
    PayloadRecord,
    QuestionRecord,
    RunRecord,
    StepRecord,
    VerdictRecord,
)
from engine.store import tables
from engine.store.choose_dispatcher import dispatcher_for
from engine.store.database import Database
from engine.store.hands import records_of
from engine.store.lease_time import LEASE_SECONDS, checked_lease
from engine.store.reader import contents_at, fields_at, values_at
from engine.store.run_ledger import KeepCheckpoints, RunLedger

_WHOLE_ID = 32  # hex digits
Row = TypeVar("Row")
Read = TypeVar("Read")


class SqlLedger(RunLedger):
    """Answers questions about runs, besides what a run itself needs."""

    @classmethod
    def open(
        cls,
        url: str,
        dispatcher: Dispatcher | str | None,
        chance: Callable[[], float],
        *,
        keep: KeepCheckpoints,
        lease_seconds: float = LEASE_SECONDS,
    ) -> Self:
        """Open a ledger, and choose who tells workers of its runs; see `dispatcher_for`.

        Raises:
            ConfigurationError: an address cannot be used, or the lease is none that could be kept.
            StoreError: the database cannot be opened.
        """
        database = Database.open(url, lease_seconds=checked_lease(lease_seconds))
        try:
            return cls(database, keep=keep, dispatcher=dispatcher_for(dispatcher, database, chance))
        except BaseException:
            database.close()
            raise

    async def close(self) -> None:
        """Write what is queued and close the database."""
        try:
            await self.dispatcher.close()
            await self._writer.leave()
            await asyncio.to_thread(self._writer.close)
        finally:
            self.database.close()

    async def run(self, run_id: str) -> RunRecord:
        """Give the run of an id, or of a beginning or end of one.

        Raises:
            InputError: no run has it, or several do.
        """
        column = tables.runs.c.run_id
        part = column.startswith(run_id, autoescape=True) | column.endswith(run_id, autoescape=True)
        fits = column == run_id if len(run_id) == _WHOLE_ID else part
        found = await self._all(RunRecord, select(tables.runs).where(fits).limit(2))
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
        batch_id: str | None = None,
        schedule: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
        untenanted: bool = False,
        before: tuple[datetime, str] | None = None,
    ) -> list[RunRecord]:
        """Give runs, newest first: `untenanted` those of no tenant, `before` those behind one's beginning and id."""
        table = tables.runs
        query = select(table).order_by(table.c.started_at.desc(), table.c.run_id.desc()).limit(limit)
        wanted = {"status": status, "workflow": workflow, "tenant": tenant, "batch_id": batch_id, "schedule": schedule}
        for name, value in wanted.items():
            query = query if value is None else query.where(table.c[name] == value)
        query = query if since is None else query.where(table.c.started_at >= since)
        query = query.where(table.c.tenant.is_(None)) if untenanted else query
        if before is not None:
            at, run_id = before
            same = (table.c.started_at == at) & (table.c.run_id < run_id)
            query = query.where(table.c.started_at <= at, (table.c.started_at < at) | same)
        return await self._all(RunRecord, query)

    async def steps(self, run_id: str) -> list[StepRecord]:
        """Give the steps of a run, in the order in which they began."""
        table = tables.steps
        query = select(table).where(table.c.run_id == run_id).order_by(table.c.seq, table.c.step_id, table.c.attempt)
        return await self._all(StepRecord, query)

    async def calls(self, run_id: str) -> list[CallRecord]:
        """Give the attempts of a run, in the order in which they began."""
        table = tables.calls
        order = (table.c.started_at, table.c.step_id, table.c.ordinal, table.c.attempt)
        return await self._all(CallRecord, select(table).where(table.c.run_id == run_id).order_by(*order))

    async def left_out(self, calls: Sequence[CallRecord]) -> dict[str, Any]:
        """Give what the requests of calls say that a model was not told, by the id of the call."""

        def read(connection: Connection) -> list[Any]:
            return values_at(connection, fields_at(connection, [(call.request_payload, "left_out") for call in calls]))

        return {call.call_id: found for call, found in zip(calls, await self.read(read), strict=True) if found}

    async def verdicts(self, run_id: str) -> list[VerdictRecord]:
        """Give what guardrails said in a run, in order."""
        table = tables.verdicts
        return await self._all(VerdictRecord, select(table).where(table.c.run_id == run_id).order_by(table.c.id))

    async def outcomes(self, run_id: str) -> list[OutcomeRecord]:
        """Give what was said of what became of a run, in order."""
        table = tables.outcomes
        return await self._all(OutcomeRecord, select(table).where(table.c.run_id == run_id).order_by(table.c.id))

    async def questions(self, run_id: str) -> list[QuestionRecord]:
        """Give what a run has asked people, in order."""
        table = tables.questions
        query = select(table).where(table.c.run_id == run_id).order_by(table.c.asked_at, table.c.question_id)
        return await self._all(QuestionRecord, query)

    async def events(self, run_id: str) -> list[EventRecord]:
        """Give what the nodes of a run have told, in order."""
        table = tables.events
        return await self._all(EventRecord, select(table).where(table.c.run_id == run_id).order_by(table.c.seq))

    async def definition(self, version: str) -> str | None:
        """Give the definition of a version of a workflow, as JSON."""
        table = tables.versions
        found = await self._rows(select(table.c.definition).where(table.c.version == version))
        return found[0].definition if found else None

    async def payload(self, sha256: str) -> PayloadRecord | None:
        """Read a payload back."""
        found = await self.contents(sha256)
        return PayloadRecord(sha256=sha256, content=found[sha256]) if sha256 in found else None

    async def contents(self, name: str) -> dict[str, str]:
        """Give the content at each address that a column's name of a value refers to, and on from there."""
        return await self.read(lambda connection: contents_at(connection, addresses_in(name)))

    async def read(self, question: Callable[[Connection], Read]) -> Read:
        """Ask a question over a connection that writes nothing, after all that was submitted before.

        Raises:
            StoreError: the database refused.
        """
        return await self._reader.read(question)

    async def _rows(self, query: Executable) -> Sequence[Any]:
        return await self.read(lambda connection: connection.execute(query).all())

    async def _all(self, record: type[Row], query: Executable) -> list[Row]:
        return records_of(record, await self._rows(query))

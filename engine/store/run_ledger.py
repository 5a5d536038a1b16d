"""The ledger as a run sees it: it begins, writes under its fence, changes hands and ends."""

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from engine.definition.conversation import Conversation, Turn
from engine.dispatch.in_process import InProcess
from engine.errors import RunBusy, StoreError
from engine.outbox import Outbox
from engine.payloads import Packer, addresses_in, pack, unpack
from engine.ports import Dispatcher, SpendWindow, Taken, WindowRefused
from engine.records import BreakerRecord, CacheEntryRecord, CallRecord, QuestionRecord, Record, RunRecord, RunStatus
from engine.store import hands, kept_answers, run_queue, shared_breakers, spend
from engine.store.checkpoints import Checkpoints
from engine.store.database import Database
from engine.store.hands import records_of
from engine.store.hints import hints_in, hints_in_queue, hints_of
from engine.store.lanes import Wanted
from engine.store.lease import Lease, count_alive
from engine.store.reader import Reader, contents_at
from engine.store.statements import EntryEnded, EntryLeft, FinishedRun, Kind, Row
from engine.store.tables import runs
from engine.store.turns import turns_before
from engine.store.writer import Writer

KeepCheckpoints = Literal["unfinished", "all"]
Changed = TypeVar("Changed")


class RunLedger:
    """Implements the port `Ledger` on a database.

    Args:
        keep: the last checkpoint of each run that has not succeeded (`unfinished`), or `all`; the ledger always is.
        dispatcher: is told of runs that may be taken; by default only the workers of this process hear of them.
    """

    def __init__(
        self, database: Database, *, keep: KeepCheckpoints = "unfinished", dispatcher: Dispatcher | None = None
    ) -> None:
        self.database = database
        self.dispatcher = dispatcher or InProcess()
        self._keep: KeepCheckpoints = keep
        self._lease = Lease(is_sqlite=database.is_sqlite, seconds=database.lease_seconds)
        self._writer = Writer(database, self._lease)
        self._reader = Reader(database, self._writer)
        self.checkpoints = Checkpoints(self._writer, self._reader, latest_only=keep == "unfinished")

    @property
    def worker_id(self) -> str:
        """Names this process as a worker."""
        return self._lease.worker_id

    @property
    def lease_age_s(self) -> float | None:
        """Seconds since the database took the last beat of this process; None before the first."""
        return self._lease.age_s

    @property
    def lease_seconds(self) -> float:
        """After how long a worker that has not beaten is taken for dead."""
        return self._lease.seconds

    @property
    def fenced(self) -> int:
        """How many writes were refused, since another process had the run by then."""
        return self._writer.fenced

    @property
    def is_idle(self) -> bool:
        """Whether everything that was queued is durable."""
        return self._writer.is_idle

    def submit(self, records: Iterable[Record]) -> None:
        """Queue records that belong to no run in progress; returns at once."""
        self._writer.submit(records)

    async def commit(self, records: Iterable[Record] = ()) -> None:
        """Queue such records and wait until they and everything before are durable.

        Raises:
            StoreError: the database refused.
        """
        await self._writer.commit(records)

    async def change(self, work: Callable[[Connection], Changed]) -> Changed:
        """Do something in a transaction of its own, after all that was submitted before; it may be done again.

        Raises:
            StoreError: the database refused.
        """
        return await self._writer.do(work)

    async def admit(self, record: RunRecord, outbox: Outbox, cancel: Callable[[], None]) -> None:
        """Write down that a run begins, with all that its outbox holds; from now on this process has it.

        Raises:
            RunBusy: the run has begun already.
            StoreError: the database refused; the run has not begun.
        """
        record.worker_id, record.fence = self.worker_id, outbox.fence
        self._lease.begin(record.run_id, cancel)
        try:
            await self._writer.commit([record, *outbox.take_all()], outbox.key)
        except StoreError as error:
            self._lease.release(record.run_id, outbox.fence)
            if isinstance(error.__cause__, IntegrityError):
                raise RunBusy(
                    f"the run {record.run_id} has begun in another process: ask again, or resume it"
                ) from error
            raise

    async def write(self, outbox: Outbox) -> None:
        """Write what is true of a run by now, and wait until it is durable.

        Raises:
            LeaseLost: the run has gone to another process.
            StoreError: the database refused.
        """
        await self._writer.commit(outbox.take(), outbox.key)

    async def finish(self, record: RunRecord, outbox: Outbox, *, again_at: datetime | None = None) -> None:
        """Write how a run ended, with all that its outbox holds; this process has it no longer.

        `again_at` is when a worker may take it again, if it came through a queue and has not come to its end.

        Raises:
            LeaseLost: the run has gone to another process.
            StoreError: the database refused.
        """
        rows: list[Any] = []
        if record.status is RunStatus.SUCCEEDED and self._keep == "unfinished":
            rows = [Row(kind, {}, (record.run_id, "")) for kind in _ended(outbox)]
        elif not outbox.holds_first:
            rows = outbox.release()
        if outbox.is_queued:
            goes_on = record.status in (RunStatus.QUEUED, RunStatus.WAITING)
            rows.append(EntryLeft(record.run_id, again_at) if goes_on else EntryEnded(record.run_id))
        try:
            await self._writer.commit([*outbox.take_all(), FinishedRun(record), *rows], outbox.key)
        finally:
            self._lease.release(record.run_id, outbox.fence)
        if record.status is RunStatus.QUEUED:
            await self.announce([record.run_id])

    def give_back(self, record: RunRecord) -> None:
        """Have a run no longer that was claimed and not begun; another worker finds it."""
        self._lease.release(record.run_id, record.fence)

    def let_go(self, outbox: Outbox) -> None:
        """Have a run no longer, and write nothing: another process has it."""
        self._lease.release(outbox.run_id, outbox.fence)

    async def known(self, run_ids: Sequence[str]) -> Sequence[RunRecord]:
        """Give those runs of these ids that there are."""
        if not run_ids:
            return ()
        query = select(runs).where(runs.c.run_id.in_(run_ids))
        return records_of(RunRecord, await self._reader.read(lambda connection: connection.execute(query).all()))

    async def enqueue(self, rows: Iterable[Record]) -> None:
        """Write runs down for workers to take: all of them, or none.

        Raises:
            RunBusy: one of them is there already.
            StoreError: the database refused.
        """
        rows = list(rows)
        try:
            await self._writer.commit(rows)
        except StoreError as error:
            if isinstance(error.__cause__, IntegrityError):
                raise RunBusy("one of the runs is there already: none of them was queued") from error
            raise
        self.dispatcher.send(hints_in(rows))

    async def announce(self, run_ids: Sequence[str]) -> None:
        """Tell workers of those of these runs that may be taken now; what they are not told they find by looking."""
        with suppress(StoreError):
            self.dispatcher.send(await self._writer.do(lambda connection: hints_of(connection, run_ids)))

    async def announce_queue(self, queue: str) -> None:
        """Tell workers that runs of a queue may be taken which could not be before."""
        with suppress(StoreError):
            self.dispatcher.send(await self._reader.read(lambda connection: hints_in_queue(connection, queue)))

    async def claim(self, wanted: Wanted, capacity: int, now: datetime) -> list[Taken]:
        """Take up to so many queued runs, to work on them here.

        Raises:
            StoreError: the database refused.
        """
        return await self._writer.do_first(
            lambda connection: run_queue.claim(connection, self._lease, wanted, capacity, now)
        )

    async def reap(self) -> list[str]:
        """Queue again what dead workers had, and give its ids; nothing while this process was itself unheard of lately.

        Raises:
            StoreError: the database refused.
        """
        lease = self._lease  # asked when it is this one's turn: it may have waited for a server that restarts
        return await self._writer.do(lambda connection: run_queue.reap(connection) if lease.may_judge else [])

    async def cache_entry(self, key: str, now: datetime) -> CacheEntryRecord | None:
        """Give what is kept under a key, unless its time is over."""
        return await self._reader.read(lambda connection: kept_answers.entry(connection, key, now))

    async def nearest_cache_entry(
        self, group: str, vector: str, at_least: float, now: datetime
    ) -> tuple[CacheEntryRecord, float] | None:
        """Give what was made for the text of a group that is most alike, and how alike it is."""
        return await self._reader.read(
            lambda connection: kept_answers.nearest(connection, group, vector, at_least, now)
        )

    async def allot(
        self, windows: Sequence[SpendWindow], run_id: str, needed: int, wanted: int, now: datetime
    ) -> dict[str, int] | WindowRefused:
        """Hold what a run needs of every window, or of none; see `engine.store.spend.allot`."""
        return await self._writer.do(lambda connection: spend.allot(connection, windows, run_id, needed, wanted, now))

    async def settle(self, run_id: str) -> None:
        """Settle what a run was charged, and let go of what it held of windows."""
        await self._writer.do(lambda connection: spend.settle(connection, run_id))

    async def workers_alive(self) -> int:
        """Count the processes that live and run runs on this ledger, or are there to."""
        return await self._reader.read(count_alive)

    async def breakers(self) -> Sequence[BreakerRecord]:
        """Give what all processes know of the targets of calls."""
        return await self._reader.read(shared_breakers.known)

    async def begin_probe(self, target: str, now: datetime, until: datetime) -> bool:
        """Say whether this process may try a target that is left alone; until then nobody else may."""
        return await self._writer.do(lambda connection: shared_breakers.begin_probe(connection, target, now, until))

    @contextmanager
    def on_duty(self, drain: Callable[[], object] | None = None) -> Generator[None]:
        """Beat even without a run, so that others see that this process is there to work.

        Args:
            drain: is called from another thread when somebody asks this worker to take no more.
        """
        self._lease.is_on_duty, self._lease.on_drain = True, drain
        try:
            yield
        finally:
            self._lease.is_on_duty, self._lease.on_drain = False, None

    def hold(self, run_id: str, cancel: Callable[[], None]) -> None:
        """Say what ends a run that was claimed, when somebody asks for its end."""
        self._lease.hold(run_id, cancel)

    async def take(
        self, run_id: str, now: datetime, cancel: Callable[[], None], *, force: bool = False, budget: str | None = None
    ) -> Taken:
        """Take a run that is not finished, to go on with it here; `budget` is JSON, what it may spend from now on.

        Raises:
            InputError: the run has come to its end.
            RunBusy: a living process has it, and `force` was not said.
            StoreError: the database refused.
        """
        taking = asyncio.ensure_future(
            self._writer.do(
                lambda connection: hands.take(connection, run_id, self._lease, now, force=force, budget=budget)
            )
        )
        try:
            taken = await asyncio.shield(taking)
        except asyncio.CancelledError:  # it may be taken all the same; then it is given back
            self._lease.release(run_id, (await taking).record.fence)
            raise
        self._lease.hold(run_id, cancel)
        return taken

    async def cancel(self, run_id: str, now: datetime, by: str | None = None) -> bool:
        """Ask for the end of a run; say whether it has ended, since nobody has it.

        Raises:
            InputError: the run is not running.
        """
        return await self._writer.do(lambda connection: hands.cancel(connection, run_id, now, by))

    async def resolve(self, run_id: str, call_id: str, *, done: bool, answer: Any = None) -> CallRecord:
        """Settle an action whose outcome is unknown.

        Args:
            run_id: the run.
            call_id: the call, or a beginning or end of its id.
            done: whether it was done; if not, the run does it when it goes on.
            answer: what it answered, JSON.

        Raises:
            InputError: the run has no such call, or its outcome is known.
            RunBusy: the run is running.
        """
        payloads = pack(answer)[1] if done else None
        return await self._writer.do(lambda connection: hands.resolve(connection, run_id, call_id, payloads))

    async def answer(
        self,
        asked: QuestionRecord,
        *,
        status: Literal["answered", "refused"],
        now: datetime,
        answer: Any = None,
        reason: str | None = None,
        by: str | None = None,
    ) -> QuestionRecord:
        """Write down what a person said to a question.

        Raises:
            InputError: the question has been answered, or its run no longer waits.
        """
        name, payloads = Packer().name(answer)
        values = {
            "status": status,
            "answer_payload": None if answer is None else name,
            "reason": reason,
            "answered_by": by,
            "answered_at": now,
        }
        answered = await self._writer.do(
            lambda connection: hands.answer(connection, asked.run_id, asked.question_id, payloads, values)
        )
        await self.announce([asked.run_id])
        return answered

    async def value(self, name: str) -> Any:
        """Give the JSON value that a column names.

        Raises:
            StoreError: it is not there.
        """
        wanted = addresses_in(name)
        contents = await self._reader.read(lambda connection: contents_at(connection, wanted)) if wanted else {}
        try:
            return unpack(name, contents.__getitem__)
        except KeyError as error:
            raise self._lost(error) from error

    async def turns(
        self, run: RunRecord, conversation: Conversation, last: int, *, inside: str | None = None
    ) -> list[Turn]:
        """Give the newest turns that the conversation of a run had when it began, the oldest first.

        Args:
            run: the run; without a conversation it has no turns.
            conversation: the fields that make a turn.
            last: how many at the most.
            inside: the full name of a step: each turn tells what that step wrote in its run.

        Raises:
            StoreError: a text is not there any more.
        """
        if run.conversation_id is None:
            return []
        try:
            return await self._reader.read(lambda connection: turns_before(connection, run, conversation, last, inside))
        except KeyError as error:
            raise self._lost(error) from error

    def _lost(self, address: KeyError) -> StoreError:
        return StoreError(
            f"the payload {address} is not in the database {self.database.safe_url}: restore it from a backup"
        )


def _ended(outbox: Outbox) -> Iterator[Kind]:
    """Give what there is to delete of a run's checkpoints."""
    if outbox.stored:
        yield Kind.ENDED_WRITES
    if outbox.has_blobs:
        yield Kind.ENDED_BLOBS
    if outbox.has_checkpoint:
        yield Kind.ENDED_CHECKPOINTS
        yield Kind.ENDED_STREAM

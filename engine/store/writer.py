"""The one writer of a process: a thread that commits everything that is waiting as one transaction."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, OperationalError, SQLAlchemyError

from engine.errors import EngineError, LeaseLost, StoreError
from engine.records import RunRecord
from engine.store.batches import Batches, Submission, Writable
from engine.store.database import Database
from engine.store.fast_lane import FastLane
from engine.store.one_statement import OneStatement
from engine.store.transactions import Transactions

_MOST = 512  # submissions in one transaction
_MOST_BYTES = 8 * 2**20  # bytes in one transaction
_ALONE = 2  # submissions in a batch up to which its loop writes the next by itself; more share a transaction
_FULL_BYTES = 64 * 2**20  # bytes in the queue at which those who submit wait

Result = TypeVar("Result")


class Pulse(Protocol):
    """What the writer does by itself, now and then."""

    def due_in(self) -> float | None:
        """Say in how many seconds it is due; None if there is nothing to do."""
        ...

    def beat(self, transactions: Transactions) -> None:
        """Do it."""
        ...


@dataclass(slots=True)
class _Work:
    """Something that is done in a transaction of its own."""

    work: Callable[[Connection], Any]
    done: "Future[Any]"


@dataclass(frozen=True, slots=True)
class _Nudge:
    """Wakes the thread: something is to be done first, was returned to it, or its pulse has begun to matter."""


_Item = Submission | _Work | _Nudge | None


class Writer:
    """Queues rows and commits them in groups, in order; what was submitted together commits together."""

    def __init__(self, database: Database, pulse: Pulse | None = None) -> None:
        self._database = database
        self._pulse = pulse
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._first: deque[_Work] = deque()  # done before what is queued
        self._queued, self._pending, self._is_closed, self._counting = 0, 0, False, threading.Lock()
        self._turn = threading.Lock()  # whoever writes has it: the thread, or a loop in the fast lane
        self._fast_lane = FastLane(database)
        self._fast: asyncio.Future[None] | None = None
        self._returned: list[Submission] = []
        self._last_size = 1  # submissions in the batch before
        self._room: list[asyncio.Future[None]] = []
        self._lost: dict[tuple[str, int] | None, StoreError] = {}  # by fence: who takes a run over has lost nothing
        self._batches = Batches(database.engine.dialect)
        self._transactions = Transactions(database)
        self._thread = threading.Thread(target=self._run, name="flowledger-writer", daemon=True)
        self._thread.start()

    @property
    def fenced(self) -> int:
        """How many submissions were left out under a stale fence."""
        return self._batches.fenced

    @property
    def is_idle(self) -> bool:
        """Whether everything that was queued is durable."""
        return self._pending == 0

    def submit(self, rows: Iterable[Writable], fence: tuple[str, int] | None = None) -> None:
        """Queue rows; returns at once. A failure shows at the next commit of the same run."""
        self._put(list(rows), fence, None)

    async def commit(self, rows: Iterable[Writable] = (), fence: tuple[str, int] | None = None) -> None:
        """Queue rows and wait until they and all before them are durable.

        Raises:
            LeaseLost: the run has gone to another process.
            StoreError: the database refused these rows, or some of the same run that nobody waited for.
        """
        loop = asyncio.get_running_loop()
        while (room := self._wait_for_room(loop)) is not None:
            await room
        done: asyncio.Future[None] = loop.create_future()
        submission = Submission(list(rows), fence, done)
        one = self._taken_in_fast_lane(submission, loop)
        if one is None:
            self._enqueue(submission)
        else:
            self._fast = done
            await self._write_fast(one, submission)  # in this task: another would take turns of the loop
        await done

    def commit_now(self, rows: Iterable[Writable] = ()) -> None:
        """Do the same from a thread that may wait."""
        done: Future[None] = Future()
        self._put(list(rows), None, done)
        done.result()

    async def do(self, work: Callable[[Connection], Result]) -> Result:
        """Do something in a transaction of its own, after all that was queued before; it may be done again.

        Raises:
            StoreError: the database refused.
        """
        return await asyncio.wrap_future(self._do(work))

    async def do_first(self, work: Callable[[Connection], Result]) -> Result:
        """Do the same before all that is queued: what it looks at has been committed by somebody.

        Raises:
            StoreError: the database refused.
        """
        return await asyncio.wrap_future(self._do(work, first=True))

    def do_now(self, work: Callable[[Connection], Result]) -> Result:
        """Do the same from a thread that may wait."""
        return self._do(work).result()

    async def leave(self) -> None:
        """Have the loop give up what is its own; the last thing before the end, from the loop that used it."""
        if self._fast is not None and not self._fast.done():
            await asyncio.wait([self._fast])
        await self._fast_lane.close()

    def close(self) -> None:
        """Write what is queued, and end.

        Raises:
            StoreError: rows that nobody waited for could not be written.
        """
        self._enqueue(None)
        self._thread.join()
        for lost in self._lost.values():
            raise lost

    def _do(self, work: Callable[[Connection], Result], *, first: bool = False) -> "Future[Result]":
        done: Future[Result] = Future()
        self._enqueue(_Work(work, done), first=first)
        return done

    def _wait_for_room(self, loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None] | None":
        """Give what is done when the queue has room; None if it has."""
        with self._counting:
            if self._queued <= _FULL_BYTES:
                return None
            room: asyncio.Future[None] = loop.create_future()
            self._room.append(room)
            return room

    def _put(self, rows: list[Writable], fence: tuple[str, int] | None, done: Any) -> None:
        self._enqueue(Submission(rows, fence, done))

    def _taken_in_fast_lane(self, submission: Submission, loop: asyncio.AbstractEventLoop) -> OneStatement | None:
        """Give a submission as a statement that its loop runs itself; None if anything is ahead of it.

        It then has the turn, so whatever is queued meanwhile is written after it.
        """
        if not self._fast_lane.is_open(loop) or not self._turn.acquire(blocking=False):
            return None
        with self._counting:
            is_alone = self._pending == 0 and self._last_size <= _ALONE
            is_first = is_alone and not (self._lost or self._is_closed or self._pulse_is_due())
            self._pending += is_first
        try:
            one = self._batches.as_one([submission]) if is_first else None
        except Exception:  # the thread finds out what is wrong with the rows
            one = None
        if one is None:
            with self._counting:
                self._pending -= is_first
            self._turn.release()
        return one

    async def _write_fast(self, one: OneStatement, submission: Submission) -> None:
        try:
            self._batches.learn(one, await self._fast_lane.execute(one))
        except BaseException as error:
            with self._counting:
                self._queued += submission.size
            self._returned.append(submission)  # the thread writes it before all else
            self._queue.put(_Nudge())
            if not isinstance(error, Exception):  # whoever waited was cancelled; what they said is written all the same
                submission.done.cancel()
                raise
        else:
            self._batches.committed([submission])
            with self._counting:
                self._pending -= 1
            _resolve([submission])
            if any(type(row) is RunRecord for row in submission.rows):
                self._queue.put(_Nudge())  # the thread, which may have slept without runs, beats from now on
        finally:
            self._turn.release()

    def _enqueue(self, item: _Item, *, first: bool = False) -> None:
        with self._counting:
            if self._is_closed and item is not None:
                raise StoreError("the ledger is closed: nothing more is written")
            self._is_closed = item is None
            self._pending += item is not None
            self._queued += item.size if isinstance(item, Submission) else 0
            if first and isinstance(item, _Work):
                self._first.append(item)
                item = _Nudge()
            self._queue.put(item)

    def _run(self) -> None:
        ahead: list[_Item] = []
        while True:
            item = ahead.pop() if ahead else self._next()
            if item is None:
                break
            with self._turn:
                while self._first:
                    self._perform(self._first.popleft())
                batch, self._returned = self._returned, []
                if isinstance(item, Submission):
                    batch += self._gather(item, ahead)
                if batch:
                    self._last_size = len(batch)
                    self._write(batch)
                if isinstance(item, _Work):
                    self._perform(item)
            self._wake(batch)
        self._transactions.disconnect()

    def _next(self) -> _Item:
        """Wait for what is queued next; the pulse beats meanwhile, and before a run that has just begun is written."""
        while True:
            with contextlib.suppress(Empty):
                item = self._queue.get(timeout=self._beat())
                self._beat()
                return item

    def _beat(self) -> float | None:
        """Have the pulse beat if it is due; say in how many seconds it is due again."""
        due = None if self._pulse is None else self._pulse.due_in()
        if self._pulse is None or due is None or due > 0:
            return due
        with contextlib.suppress(Exception):  # a beat that was missed is made up by the next
            self._pulse.beat(self._transactions)
        return max(self._pulse.due_in() or 0.0, 0.0)

    def _pulse_is_due(self) -> bool:
        due = None if self._pulse is None else self._pulse.due_in()
        return due is not None and due <= 0

    def _gather(self, first: Submission, ahead: list[_Item]) -> list[Submission]:
        """Give a batch; the item behind it that does not belong to it is put ahead of the queue."""
        batch, size = [first], first.size
        while len(batch) < _MOST and size < _MOST_BYTES and not self._queue.empty():
            following = self._queue.get()
            if not isinstance(following, Submission):
                ahead.append(following)
                break
            batch.append(following)
            size += following.size
        return batch

    def _write(self, batch: Sequence[Submission]) -> None:
        """Write a batch as one transaction; if one row is refused, each submission alone."""
        if self._write_as_one(batch):
            return
        again = self._database.is_sqlite or all(one.is_idempotent for one in batch)
        try:
            try:
                self._transactions.run(lambda connection: self._batches.write(connection, batch), repeatable=again)
            except (DataError, UnicodeEncodeError, ValueError):  # a text that no column can hold
                self._transactions.run(
                    lambda connection: self._batches.write(connection, batch, clean=True), repeatable=again
                )
        except Exception as error:  # whatever it is, those who wait must hear of it
            if len(batch) > 1 and not isinstance(error, OperationalError):  # a row was refused, not everything
                for one in batch:
                    self._write([one])
                return
            for one in batch:
                one.error = error
        else:
            self._batches.committed(batch)

    def _write_as_one(self, batch: Sequence[Submission]) -> bool:
        """Write a batch as one statement, where that can be; what goes wrong is found out by several."""
        try:
            one = self._batches.as_one(batch)
            if one is None:
                return False
            self._transactions.run(
                lambda connection: self._batches.execute(connection, one), repeatable=True, is_one=True
            )
        except Exception:  # which row it was, and whether it will do later, several statements find out
            return False
        self._batches.committed(batch)
        return True

    def _perform(self, item: _Work) -> None:
        try:
            self._do_work(item)
        finally:
            with self._counting:
                self._pending -= 1

    def _do_work(self, item: _Work) -> None:
        if not item.done.set_running_or_notify_cancel():
            return  # nobody waits for it any more
        try:
            result = self._transactions.run(item.work, repeatable=False)
        except Exception as error:  # as above
            item.done.set_exception(self._as_engine_error(error))
        else:
            item.done.set_result(result)

    def _wake(self, batch: Sequence[Submission]) -> None:
        """Tell those who wait, a loop at a time; what nobody waits for and was lost is told to the run's next."""
        with self._counting:
            self._queued -= sum(one.size for one in batch)
            self._pending -= len(batch)
            room, self._room = (self._room, []) if self._queued <= _FULL_BYTES else ([], self._room)
        loops: dict[asyncio.AbstractEventLoop, list[Submission]] = {}
        for one in batch:
            error = None if one.error is None else self._as_engine_error(one.error)
            if one.done is None:
                if isinstance(error, StoreError) and not isinstance(error, LeaseLost):  # of that its next hears anyway
                    self._lost.setdefault(one.fence, error)
                continue
            lost = self._lost.pop(one.fence, None)
            one.error = error or lost
            if isinstance(one.done, Future):
                _resolve([one])
            else:
                loops.setdefault(one.done.get_loop(), []).append(one)
        for waiting in room:
            loops.setdefault(waiting.get_loop(), []).append(Submission((), done=waiting))
        for loop, ones in loops.items():
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left who waits
                loop.call_soon_threadsafe(_resolve, ones)

    def _as_engine_error(self, error: Exception) -> EngineError:
        if isinstance(error, EngineError):
            return error
        if isinstance(error, SQLAlchemyError):
            said = self._database.error(error)
            said.__cause__ = error
            return said
        return StoreError(f"the ledger could not be written: {type(error).__name__}: {error}")


def _resolve(batch: Sequence[Submission]) -> None:
    for one in batch:
        with contextlib.suppress(InvalidStateError, asyncio.InvalidStateError):  # who waited has been cancelled
            one.done.set_exception(one.error) if one.error is not None else one.done.set_result(None)

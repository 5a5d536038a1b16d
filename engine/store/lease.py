"""The lease of this process: its row among the workers, its beat, and the word that a run is to be cancelled."""

import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from engine.errors import InputError, RunBusy
from engine.store import tables
from engine.store.lease_time import LEASE_SECONDS, beat_seconds, lease_of
from engine.store.transactions import Transactions

_LOOK_SECONDS = 0.25  # how often it looks for runs that are to be cancelled

# Time is the database's own, since clocks of machines differ.
_NOW_SQLITE = literal_column("strftime('%Y-%m-%d %H:%M:%f000', 'now')", tables.UtcDateTime())
_NOW_POSTGRES = literal_column("clock_timestamp()", tables.UtcDateTime())


@dataclass(slots=True)
class _Held:
    """A run that this process has.

    Attributes:
        cancel: what ends it.
        fence: under which it was taken; None for one that began here.
        asked_at: the request for its end that `cancel` has heard of.
    """

    cancel: Callable[[], None] | None = None
    fence: int | None = None
    asked_at: datetime | None = None


class Lease:
    """This process as a worker; beats while it has runs, in the writer's thread, so that no busy loop delays it."""

    def __init__(self, *, is_sqlite: bool, seconds: float = LEASE_SECONDS) -> None:
        self.seconds, self._rest = seconds, beat_seconds(seconds)
        self.worker_id = secrets.token_hex(8)
        self._runs: dict[str, _Held] = {}
        self._released: deque[str] = deque()
        self.is_on_duty = False
        self.on_drain: Callable[[], object] | None = None  # called from another thread, at each beat once it is asked
        self._next_beat = self._next_look = 0.0
        self._back_at = float("-inf")  # when the database took a beat again, after a silence as long as a lease
        now: Any = _NOW_SQLITE if is_sqlite else _NOW_POSTGRES
        upsert: Any = sqlite.insert if is_sqlite else postgresql.insert
        me = {"worker_id": self.worker_id, "host": _machine(), "process_id": os.getpid()}
        begun = upsert(tables.workers).values(**me, started_at=now, beat_at=now)
        beaten = begun.on_conflict_do_update(index_elements=["worker_id"], set_={"beat_at": now})
        self._beat = beaten.returning(tables.workers.c.drain_requested_at)
        runs = tables.runs.c
        mine = (runs.worker_id == self.worker_id) & tables.IS_RUNNING
        self._asked = select(runs.run_id, runs.cancel_requested_at).where(mine, runs.cancel_requested_at.is_not(None))
        left = runs.run_id.in_(bindparam("left", expanding=True))
        self._let_go = update(tables.runs).where(left, mine).values(worker_id=None)

    def begin(self, run_id: str, cancel: Callable[[], None]) -> None:
        """Have a run that begins; `cancel` is called from another thread when somebody asks for its end.

        Raises:
            RunBusy: this process has it already.
        """
        if run_id in self._runs:
            raise RunBusy(f"the run {run_id} is in progress in this process: wait for it, or give another id")
        self._runs[run_id] = _Held(cancel)

    def hold(self, run_id: str, cancel: Callable[[], None]) -> None:
        """Have a run that was taken; `cancel` as above."""
        self._runs.setdefault(run_id, _Held()).cancel = cancel

    def release(self, run_id: str, fence: int) -> None:
        """Have it no longer; if its end could not be written, the next beat lets anybody take it.

        What was taken under another fence meanwhile, in this same process, stays held.
        """
        held = self._runs.get(run_id)
        if held is not None and held.fence in (None, fence):
            del self._runs[run_id]
            self._released.append(run_id)

    @property
    def age_s(self) -> float | None:
        """Seconds since the database took the last beat; None before the first."""
        return time.monotonic() - self._next_beat + self._rest if self._next_beat else None

    @property
    def may_judge(self) -> bool:
        """Whether others may be taken for dead: one that was itself cut off or frozen first gives them time to beat."""
        age = self.age_s
        return (age is None or age < self.seconds) and time.monotonic() - self._back_at >= self.seconds

    def due_in(self) -> float | None:
        """Say in how many seconds there is something to do; who has no run need not look whether one is cancelled."""
        if self._runs or self._released:
            return self._next_look - time.monotonic()
        return self._next_beat - time.monotonic() if self.is_on_duty else None

    def beat(self, transactions: Transactions) -> None:
        """Renew the lease when it is time, let go of what was released, and look for runs that are to be cancelled."""
        began = time.monotonic()
        renews = began >= self._next_beat
        released = [self._released.popleft() for _ in range(len(self._released))]
        left = [run_id for run_id in released if run_id not in self._runs]

        def work(connection: Connection) -> tuple[bool, list[tuple[str, datetime]]]:
            drains = renews and connection.scalar(self._beat) is not None
            if left:
                connection.execute(self._let_go, {"left": left})
            asked = connection.execute(self._asked).all() if self._runs else ()
            return drains, [(row.run_id, row.cancel_requested_at) for row in asked]

        try:
            drains, asked = transactions.run(work, repeatable=True, waits=False)  # others wait for the writer meanwhile
        except BaseException:
            self._released.extend(left)
            raise
        finally:
            self._next_look = time.monotonic() + _LOOK_SECONDS
        if renews:
            if self._next_beat and began - self._next_beat + self._rest >= self.seconds:
                self._back_at = began
            self._next_beat = began + self._rest
        if drains and self.on_drain is not None:
            self.on_drain()
        for run_id, asked_at in asked:
            held = self._runs.get(run_id)
            if held is not None and held.cancel is not None and held.asked_at != asked_at:
                held.asked_at = asked_at  # told once, so that what cleans up is not cut off
                held.cancel()

    def take(self, connection: Connection, fences: Mapping[str, int]) -> None:
        """Take or renew the lease, and runs with it, within a transaction; `hold` each when that has committed."""
        if time.monotonic() >= self._next_beat:
            connection.execute(self._beat)
        self._runs |= {run_id: _Held(fence=fence) for run_id, fence in fences.items()}

    def is_held(self, connection: Connection, run: Any) -> bool:
        """Say whether a living process has a run, this one or another."""
        if run.worker_id != self.worker_id:
            return is_alive(connection, run.worker_id)
        held = self._runs.get(run.run_id)
        return held is not None and held.fence in (None, run.fence)


def is_alive(connection: Connection, worker_id: str | None) -> bool:
    """Say whether a worker beats still; one of this machine whose process is gone does not."""
    table = tables.workers
    row = connection.execute(select(table).where(table.c.worker_id == worker_id)).first()
    return row is not None and beats(row, time_of(connection), lease_of(connection))


def beats(worker: Any, now: datetime, lease_seconds: float) -> bool:
    """Say whether a worker of this row beats still; a row of nothing is of none."""
    if worker.beat_at is None or (worker.host == _machine() and not _has_process(worker.process_id)):
        return False
    return (now - worker.beat_at).total_seconds() < lease_seconds


def may_be_dead(now: datetime, lease_seconds: float) -> ColumnElement[bool]:
    """Say of a worker's row that `beats` has to judge it: it was silent, or its process can be looked for here."""
    table = tables.workers.c
    return (table.beat_at <= now - timedelta(seconds=lease_seconds)) | (table.host == _machine())


def count_alive(connection: Connection) -> int:
    """Count the workers that beat still."""
    latest = time_of(connection) - timedelta(seconds=lease_of(connection))
    return connection.scalar(select(func.count()).where(tables.workers.c.beat_at > latest)) or 0


def clock_of(dialect: str) -> Any:
    """Give what says the time of the database within a statement."""
    return _NOW_SQLITE if dialect == "sqlite" else _NOW_POSTGRES


def time_of(connection: Connection) -> datetime:
    """Give the time of the database, by which beats are written down."""
    return connection.execute(select(clock_of(connection.dialect.name))).scalar_one()


@cache
def _machine() -> str:
    """Name what process ids are unique in: a host since it booted, or a container of it."""
    marks = [socket.gethostname()]
    with suppress(OSError):
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8])
        marks.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(marks)


def _has_process(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, and alive
        return True
    return True


def lock_run(connection: Connection, run_id: str) -> Any:
    """Give the row of a run that nobody else can change before this transaction ends.

    Raises:
        InputError: there is none.
    """
    query = select(tables.runs).where(tables.runs.c.run_id == run_id)
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        raise InputError(f"no run has the id {run_id!r}; `flowledger runs` lists them")
    return row


def touch_run(connection: Connection, run_id: str, **values: Any) -> None:
    """Change the row of a run."""
    connection.execute(update(tables.runs).where(tables.runs.c.run_id == run_id).values(**values))

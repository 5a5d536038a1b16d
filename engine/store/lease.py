"""The lease of this process: its row among the workers, its beat, and the word that a run is to be cancelled."""

import os
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from engine.records import RunStatus
from engine.store import tables
from engine.store.transactions import Transactions

LEASE_SECONDS = 10.0
"""A worker that has not beaten for so long is taken for dead."""

_BEAT_SECONDS = 2.0
_LOOK_SECONDS = 0.25  # how often it looks for runs that are to be cancelled

# Time is the database's own, since clocks of machines differ.
_NOW_SQLITE = text("strftime('%Y-%m-%d %H:%M:%f000', 'now')")
_NOW_POSTGRES = text("clock_timestamp()")
_AGE_SQLITE = text("SELECT (julianday('now') - julianday(beat_at)) * 86400 FROM workers WHERE worker_id = :worker")
_AGE_POSTGRES = text("SELECT EXTRACT(EPOCH FROM clock_timestamp() - beat_at) FROM workers WHERE worker_id = :worker")


class Lease:
    """This process as a worker; beats while it has runs, in the writer's thread, so that no busy loop delays it."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self.worker_id = secrets.token_hex(8)
        self._runs: dict[str, Callable[[], None]] = {}
        self._next_beat = self._next_look = 0.0
        now: Any = _NOW_SQLITE if is_sqlite else _NOW_POSTGRES
        upsert: Any = sqlite.insert if is_sqlite else postgresql.insert
        me = {"worker_id": self.worker_id, "host": socket.gethostname(), "process_id": os.getpid()}
        begun = upsert(tables.workers).values(**me, started_at=now, beat_at=now)
        self._beat = begun.on_conflict_do_update(index_elements=["worker_id"], set_={"beat_at": now})
        runs = tables.runs.c
        mine = (runs.worker_id == self.worker_id) & (runs.status == RunStatus.RUNNING)
        self._cancelled = select(runs.run_id).where(mine, runs.cancel_requested_at.is_not(None))

    def hold(self, run_id: str, cancel: Callable[[], None]) -> None:
        """Have a run from now on; `cancel` is called from another thread when somebody asks for its end."""
        self._runs[run_id] = cancel

    def release(self, run_id: str) -> None:
        """Have it no longer."""
        self._runs.pop(run_id, None)

    def due_in(self) -> float | None:
        """Say in how many seconds there is something to do."""
        return self._next_look - time.monotonic() if self._runs else None

    def beat(self, transactions: Transactions) -> None:
        """Renew the lease when it is time, and look for runs that are to be cancelled."""
        now = time.monotonic()
        self._next_look = now + _LOOK_SECONDS
        if now >= self._next_beat:
            transactions.run(lambda connection: connection.execute(self._beat), repeatable=True)
            self._next_beat = now + _BEAT_SECONDS
        asked = transactions.run(lambda connection: list(connection.scalars(self._cancelled)), repeatable=True)
        for run_id in asked:
            cancel = self._runs.get(run_id)
            if cancel is not None:
                cancel()

    def begin(self, connection: Connection) -> None:
        """Take the lease, or renew it, within a transaction."""
        connection.execute(self._beat)


def is_alive(connection: Connection, worker_id: str | None) -> bool:
    """Say whether a worker beats still; one of this machine whose process is gone does not."""
    table = tables.workers
    row = connection.execute(select(table).where(table.c.worker_id == worker_id)).first()
    if row is None or (row.host == socket.gethostname() and not _has_process(row.process_id)):
        return False
    age = _AGE_SQLITE if connection.dialect.name == "sqlite" else _AGE_POSTGRES
    return float(connection.execute(age, {"worker": worker_id}).scalar() or 0.0) < LEASE_SECONDS


def _has_process(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, and alive
        return True
    return True


def lock_run(connection: Connection, run_id: str) -> Any:
    """Give the row of a run that nobody else can change before this transaction ends."""
    query = select(tables.runs).where(tables.runs.c.run_id == run_id)
    return connection.execute(query.with_for_update()).first()


def touch_run(connection: Connection, run_id: str, **values: Any) -> None:
    """Change the row of a run."""
    connection.execute(update(tables.runs).where(tables.runs.c.run_id == run_id).values(**values))

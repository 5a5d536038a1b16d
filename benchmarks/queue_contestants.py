"""What benchmarks/queues.py measures: queued runs that note when they start, on flowledger and on three others.

Each contestant is four functions: prepare a database, enqueue, work until killed, count what is durably finished. All
work at 50 runs at a time, and polling engines look every 50 ms.
"""

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any, Protocol

import psycopg

from engine import END, START, App, Chain, Compute, State, Worker, Workflow
from engine.outbox import Outbox
from engine.ports import Taken
from engine.records import RunStatus
from engine.runtime.enqueue import QueuePlace, RunRequest
from engine.store.database import Database

AT_ONCE = 50
LOOK_SECONDS = 0.05
NOTES = "FLOWLEDGER_BENCHMARK_NOTES"  # where runs note that they start

PEERS = [peer for peer in ("dbos", "procrastinate", "pgqueuer") if find_spec(peer)]

Ready = Callable[[], None]  # says that a worker could begin, and waits until it may


def note(number: int) -> None:
    """Note that a run starts; one line appended is whole, whoever is killed meanwhile."""
    os.write(_notes(), f"{number} {time.time():.6f}\n".encode())


@cache
def _notes() -> int:
    return os.open(os.environ[NOTES], os.O_WRONLY | os.O_APPEND)


class Contestant(Protocol):
    """An engine with a database."""

    name: str
    on: str
    share: float  # of the runs that are asked for: a quick one needs more for the same time

    async def prepare(self, url: str) -> None:
        """Make what it needs in an empty database."""
        ...

    @asynccontextmanager
    def enqueuing(self, url: str) -> AsyncIterator[Callable[[Sequence[int], float], Any]]:
        """Give what queues runs of these numbers, which last so many seconds."""
        ...

    async def work(self, url: str, ready: Ready) -> None:
        """Work until killed."""
        ...

    def finished(self, url: str) -> int:
        """Count the runs whose end is durable."""
        ...


class Numbered(State):
    """A run with a number."""

    number: int
    seconds: float = 0.0
    done: bool = False


async def body(number: int, seconds: float) -> bool:
    """Do nothing, for a while."""
    note(number)
    if seconds:
        await asyncio.sleep(seconds)
    return True


NOOP = Workflow(
    name="noop", state=Numbered, nodes={"body": Compute(function=body, into="done")}, edges=[Chain(START, "body", END)]
)


class Flowledger:
    """A workflow of one node, run by `Worker`: every run has its row, its step, its payloads, its fence."""

    name = "flowledger"
    share = 1.0

    def __init__(self, on: str) -> None:
        self.on = on

    def app(self, url: str) -> App:
        """Open the app."""
        return App(workflows=[NOOP], database=url)

    async def prepare(self, url: str) -> None:
        """Make the tables."""
        Database.open(url, migrate=True).close()

    @asynccontextmanager
    async def enqueuing(self, url: str) -> AsyncIterator[Callable[[Sequence[int], float], Any]]:
        """Queue runs in the lanes of twenty tenants."""
        async with self.app(url) as app:

            async def enqueue(numbers: Sequence[int], seconds: float) -> None:
                await app.enqueue_all(
                    "noop",
                    [
                        RunRequest(
                            {"number": number, "seconds": seconds}, place=QueuePlace(lane=f"tenant-{number % 20}")
                        )
                        for number in numbers
                    ],
                )

            yield enqueue

    async def work(self, url: str, ready: Ready) -> None:
        """Work as `flowledger worker --concurrency 50` does."""
        async with self.app(url) as app:
            _ = app.ledger
            ready()
            await Worker(app, concurrency=AT_ONCE).run()

    def finished(self, url: str) -> int:
        """Count rows of runs."""
        return count(url, "SELECT count(*) FROM runs WHERE status = 'succeeded'")


class ClaimAlone(Flowledger):
    """The same without a graph: each run is claimed and finished under its fence, and nothing is between."""

    name = "flowledger, claim and completion alone"
    share = 4.0

    async def work(self, url: str, ready: Ready) -> None:
        """Claim for every free slot, and finish each."""
        async with self.app(url) as app:
            _ = app.ledger
            ready()
            at_work: set[asyncio.Task[None]] = set()
            with app.ledger.on_duty():
                while True:
                    free = AT_ONCE - len(at_work)
                    taken = await app.claim(free) if free else []
                    for one in taken:
                        task = asyncio.create_task(self._finish(app, one))
                        at_work.add(task)
                        task.add_done_callback(at_work.discard)
                    if at_work:
                        await asyncio.wait(at_work, return_when=asyncio.FIRST_COMPLETED)
                    elif not taken:
                        await asyncio.sleep(LOOK_SECONDS)

    async def _finish(self, app: App, taken: Taken) -> None:
        run = taken.record
        given = json.loads(run.input_payload or "{}")
        note(given["number"])
        run.status, run.ended_at = RunStatus.SUCCEEDED, app.clock.now()
        outbox = Outbox(run.run_id, fence=run.fence, is_new=True, is_queued=True)
        await app.ledger.finish(run, outbox)


class Dbos:
    """DBOS Transact: a workflow without steps, in a queue."""

    name = "DBOS"
    share = 0.5

    def __init__(self, on: str) -> None:
        self.on = on

    async def prepare(self, url: str) -> None:
        """DBOS makes its tables when it is launched; it wants a sound file first, where that is its database."""
        os.environ["DBOS__CONSOLE_LOG_LEVEL"] = "ERROR"
        dbos = self._open(url)
        await asyncio.to_thread(dbos.launch)
        await asyncio.to_thread(dbos.destroy)

    @asynccontextmanager
    async def enqueuing(self, url: str) -> AsyncIterator[Callable[[Sequence[int], float], Any]]:
        """Queue one by one, 50 side by side, since it has no batch."""
        from concurrent.futures import ThreadPoolExecutor

        from dbos import DBOSClient

        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32))
        client = DBOSClient(system_database_url=url)
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, seconds: float) -> None:
            async with turns:
                await client.enqueue_async({"queue_name": "runs", "workflow_name": "body"}, number, seconds)

        async def enqueue(numbers: Sequence[int], seconds: float) -> None:
            await asyncio.gather(*(one(number, seconds) for number in numbers))

        yield enqueue
        await asyncio.to_thread(client.destroy)

    async def work(self, url: str, ready: Ready) -> None:
        """Launch, and take from the queue."""
        dbos = self._open(url)
        dbos.workflow(name="body")(body)
        ready()

        def begin() -> None:
            dbos.launch()
            dbos.register_queue("runs", worker_concurrency=AT_ONCE, polling_interval_sec=LOOK_SECONDS)

        await asyncio.to_thread(begin)
        await asyncio.Event().wait()

    def finished(self, url: str) -> int:
        """Count rows of workflows."""
        schema = "dbos." if "://" in url and "sqlite" not in url else ""
        return count(url, f"SELECT count(*) FROM {schema}workflow_status WHERE status = 'SUCCESS'")

    def _open(self, url: str) -> Any:
        from dbos import DBOS

        config: Any = {"name": "bench", "system_database_url": url, "application_version": "1"}
        DBOS(
            config=config | {"log_level": "ERROR", "console_log_level": "ERROR", "executor_id": f"worker-{os.getpid()}"}
        )
        return DBOS


class Procrastinate:
    """Procrastinate, with its notifications."""

    name, on, share = "Procrastinate", "PostgreSQL", 0.5

    def _open(self, url: str) -> tuple[Any, Any]:
        from procrastinate import App as Procrastination
        from procrastinate import PsycopgConnector

        app = Procrastination(connector=PsycopgConnector(conninfo=url))
        return app, app.task(name="body", queue="runs")(body)

    async def prepare(self, url: str) -> None:
        """Apply its schema."""
        app, _ = self._open(url)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()

    @asynccontextmanager
    async def enqueuing(self, url: str) -> AsyncIterator[Callable[[Sequence[int], float], Any]]:
        """Queue in batches of a thousand."""
        app, work = self._open(url)
        async with app.open_async():

            async def enqueue(numbers: Sequence[int], seconds: float) -> None:
                for start in range(0, len(numbers), 1000):
                    some = numbers[start : start + 1000]
                    await work.batch_defer_async(*({"number": number, "seconds": seconds} for number in some))

            yield enqueue

    async def work(self, url: str, ready: Ready) -> None:
        """Run its worker."""
        app, _ = self._open(url)
        async with app.open_async():
            ready()
            await app.run_worker_async(queues=["runs"], concurrency=AT_ONCE, fetch_job_polling_interval=LOOK_SECONDS)

    def finished(self, url: str) -> int:
        """Count rows of jobs."""
        return count(url, "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'")


class PgQueuer:
    """PgQueuer; it deletes what has finished and keeps a line in its log."""

    name, on, share = "PgQueuer", "PostgreSQL", 4.0

    @asynccontextmanager
    async def _open(self, url: str) -> AsyncIterator[Any]:
        from pgqueuer import PgQueuer as Queuer
        from pgqueuer import PsycopgDriver

        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            yield Queuer(PsycopgDriver(connection))

    async def prepare(self, url: str) -> None:
        """Install its tables."""
        async with self._open(url) as queuer:
            await queuer.qm.queries.install()

    @asynccontextmanager
    async def enqueuing(self, url: str) -> AsyncIterator[Callable[[Sequence[int], float], Any]]:
        """Queue in batches of a thousand."""
        async with self._open(url) as queuer:

            async def enqueue(numbers: Sequence[int], seconds: float) -> None:
                for start in range(0, len(numbers), 1000):
                    payloads = [f"{number} {seconds}".encode() for number in numbers[start : start + 1000]]
                    await queuer.qm.queries.enqueue(["body"] * len(payloads), payloads, [0] * len(payloads))

            yield enqueue

    async def work(self, url: str, ready: Ready) -> None:
        """Run its worker; a run of a worker that died is picked up after ten seconds, as ours."""
        from datetime import timedelta

        async with self._open(url) as queuer:

            @queuer.entrypoint("body")
            async def work(job: Any) -> None:
                number, seconds = job.payload.split()
                await body(int(number), float(seconds))

            ready()
            await queuer.run(
                batch_size=AT_ONCE,
                max_concurrent_tasks=2 * AT_ONCE,
                dequeue_timeout=timedelta(seconds=1),
                heartbeat_timeout=timedelta(seconds=10),
            )

    def finished(self, url: str) -> int:
        """Count lines of its log."""
        return count(url, "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'")


def count(url: str, query: str) -> int:
    """Ask a database for a number, over a connection of its own."""
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///"), timeout=10) as file:
            return int(file.execute(query).fetchone()[0])
    with psycopg.connect(url) as connection:
        (found,) = connection.execute(query).fetchone() or (0,)  # type: ignore[arg-type]
        return int(found)


def contestants() -> dict[str, Contestant]:
    """Give all that are installed, by name and database."""
    found: list[Contestant] = [kind(on) for on in ("PostgreSQL", "SQLite") for kind in (ClaimAlone, Flowledger)]
    found += [Dbos("PostgreSQL"), Dbos("SQLite")] if "dbos" in PEERS else []
    found += [Procrastinate()] if "procrastinate" in PEERS else []
    found += [PgQueuer()] if "pgqueuer" in PEERS else []
    return {f"{one.name}, {one.on}": one for one in found}


def work_apart(name: str, url: str, notes: str, line: Connection) -> None:
    """Work in a process of its own: say on the line that it could begin, and wait until it may."""
    os.environ[NOTES] = notes  # the process that this was forked from has another

    def ready() -> None:
        line.send("ready")
        line.recv()

    asyncio.run(contestants()[name].work(url, ready))

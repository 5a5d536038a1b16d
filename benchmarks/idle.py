"""What idle workers cost PostgreSQL: statements and transactions a second, and CPU of the server.

Workers that have nothing to do wait on a server of its own, several in a process. Counted by pg_stat_statements, once
they have got used to one another.

    uv run python benchmarks/idle.py --workers 100 --seconds 30
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psycopg
from chaos_ground import Postgres
from queue_contestants import NOOP
from queues import cpu_ms_of, show

from engine import App, Worker
from engine.store.database import Database

IN_A_PROCESS = 25
SETTINGS = "-c max_connections=1000 -c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.track=all"
FORKING = multiprocessing.get_context("forkserver")


def idle(url: str, workers: int) -> None:
    """Have so many workers wait for runs, until killed."""

    async def waiting() -> None:
        async with AsyncExitStack() as stack:
            apps = [await stack.enter_async_context(App(workflows=[NOOP], database=url)) for _ in range(workers)]
            await asyncio.gather(*(Worker(app, concurrency=50).run() for app in apps))

    asyncio.run(waiting())


def counted(connection: Any) -> tuple[float, float, float]:
    """Give the statements and the transactions so far, and the milliseconds of CPU of who serves them."""
    calls = connection.execute("SELECT sum(calls)::float FROM pg_stat_statements").fetchone()[0]
    here = "datname = current_database()"
    done = connection.execute(f"SELECT xact_commit FROM pg_stat_database WHERE {here}").fetchone()[0]
    serving = connection.execute(f"SELECT pid FROM pg_stat_activity WHERE {here}").fetchall()
    return calls, done, sum(cpu_ms_of(pid) for (pid,) in serving)


def most(connection: Any, seconds: float) -> dict[str, float]:
    """Give the statements that were sent most often, and how often a second."""
    query = "SELECT query, calls FROM pg_stat_statements ORDER BY calls DESC LIMIT 12"
    return {" ".join(said.split())[:100]: calls / seconds for said, calls in connection.execute(query)}


def measure(workers: int, settle: float, seconds: float) -> tuple[dict[str, float | None], dict[str, float]]:
    """Have workers wait, and count."""
    with tempfile.TemporaryDirectory(prefix="idle-") as folder:
        server = Postgres(Path(folder), settings=SETTINGS)
        try:
            Database.open(server.url(), migrate=True).close()
            sizes = [min(IN_A_PROCESS, workers - first) for first in range(0, workers, IN_A_PROCESS)]
            processes = [FORKING.Process(target=idle, args=(server.url(), size), daemon=True) for size in sizes]
            for process in processes:
                process.start()
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute("CREATE EXTENSION pg_stat_statements")
                there = "SELECT count(*) FROM workers WHERE beat_at > clock_timestamp() - interval '8 s'"
                while connection.execute(there).fetchone() != (workers,):
                    time.sleep(0.2)
                time.sleep(settle)
                connection.execute("SELECT pg_stat_statements_reset()")
                before, began = counted(connection), time.monotonic()
                time.sleep(seconds)
                after, took = counted(connection), time.monotonic() - began
                often = most(connection, took)
            for process in processes:
                process.kill()
                process.join()
        finally:
            server.close()
    heads = ("statements/s", "transactions/s", "server ms/s")
    return {head: (now - then) / took for head, now, then in zip(heads, after, before, strict=True)}, often


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--settle", type=float, default=15, help="seconds in which workers learn of one another")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # where workers find what they import
    FORKING.set_forkserver_preload(["queue_contestants"])
    found, often = measure(options.workers, options.settle, options.seconds)
    if options.json:
        print(json.dumps({"figures": found, "statements": often}))
        return
    show(f"{options.workers} idle workers", {"all of them": found})
    show("statements a second", {said: {"a second": rate} for said, rate in often.items()})


if __name__ == "__main__":
    main()

"""How long reports take over a ledger of 100,000 runs and 1,000,000 calls, which the database fills by itself.

The ledger is a SQLite file in a temporary folder, or a PostgreSQL database that is made for it and dropped afterwards
on the server that `--postgres` names.

    uv run python benchmarks/reports.py                 # SQLite
    uv run python benchmarks/reports.py --quick         # a tenth of it
    uv run python benchmarks/reports.py --postgres postgresql://root@127.0.0.1:5432/test
    uv run python benchmarks/reports.py --quick --plans # and how the database goes about each
"""

import argparse
import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from big_ledger import CALLS_OF_A_RUN, fill
from report_list import Reports, reports
from rich.console import Console
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url

from engine.app import App
from engine.store.database import Database
from engine.store.ledger import SqlLedger

LIMIT = 3.0  # seconds that a report may take
console = Console()


def cpu_of(ledger: SqlLedger) -> float:
    """Say what this process has used and, where they run on this machine, those that PostgreSQL answers it with."""
    used = time.process_time()
    if ledger.database.is_sqlite:
        return used
    query = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
    with ledger.database.engine.connect() as connection:
        for process in connection.scalars(query):
            try:
                words = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            except OSError:
                continue
            used += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return used


@contextmanager
def database_for(kept: str | None, postgres: str | None) -> Generator[str]:
    """Make a database for the ledger, and remove it afterwards; one that is to be kept stays."""
    if kept is not None:
        yield kept
        return
    if postgres is None:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/runs.db"
        return
    server = make_url(postgres)
    name = f"flowledger_reports_{secrets.token_hex(4)}"
    driver = server.set(drivername="postgresql+psycopg")
    admin = create_engine(driver, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


async def main() -> None:
    # what helps a process of PostgreSQL is gone before anybody can see what it used
    os.environ["PGOPTIONS"] = "-c max_parallel_workers_per_gather=0"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000, help="how many runs, of ten calls each")
    parser.add_argument("--quick", action="store_true", help="10,000 runs")
    parser.add_argument("--postgres", help="a database of a server on which another one is made; else SQLite")
    parser.add_argument("--keep", help="a ledger that stays, filled if it has no run, as in sqlite:///big.db")
    parser.add_argument("--only", default="", help="only reports that have this in their name")
    parser.add_argument("--reprice", action="store_true", help="price every call anew, too, which takes minutes")
    parser.add_argument("--plans", action="store_true", help="show the plan of each query")
    given = parser.parse_args()
    runs = 10_000 if given.quick else given.runs
    with database_for(given.keep, given.postgres) as url:
        _fill(url, runs)
        async with App(workflows=[], database=url) as app:
            if given.plans:
                _show_plans(app.ledger.database)
            every = reports(app, runs, reprices=given.reprice)
            await _time(app.ledger, {name: one for name, one in every.items() if given.only in name})


def _fill(url: str, runs: int) -> None:
    database = Database.open(url, migrate=True)
    try:
        with database.engine.connect() as connection:
            there = connection.scalar(text("SELECT count(*) FROM runs"))
        if there not in (0, runs):
            raise SystemExit(f"{url} has {there:,} runs: name another, or say --runs {there}")
        if there == 0:
            began = time.perf_counter()
            fill(database, runs)
            took = time.perf_counter() - began
            console.print(f"{runs:,} runs, {runs * CALLS_OF_A_RUN:,} calls written in {took:.1f} s")
    finally:
        database.close()


async def _time(ledger: SqlLedger, wanted: Reports) -> None:
    console.print(f"{'report':<52}{'CPU s':>7}{'s':>8}")
    for name, report in wanted.items():
        before, began = cpu_of(ledger), time.perf_counter()
        await report()
        took, used = time.perf_counter() - began, cpu_of(ledger) - before
        console.print(f"{name:<52}{used:>7.2f}{took:>8.2f}{'  too long' if used > LIMIT else ''}", highlight=False)


def _show_plans(database: Database) -> None:
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF)"

    @event.listens_for(database.engine, "before_cursor_execute")
    def show(_: Any, cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        if statement.startswith(("SELECT", "WITH")):
            for row in cursor.connection.execute(f"{explain} {statement}", parameters):
                console.print(f"  {row[-1]}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    asyncio.run(main())

"""How long reports take over a ledger of 100,000 runs and 1,000,000 calls, which the database fills by itself.

The ledger is a SQLite file in a temporary folder, or a PostgreSQL database that is made for it and dropped afterwards
on the server that `--postgres` names.

    uv run python benchmarks/reports.py                 # SQLite
    uv run python benchmarks/reports.py --quick         # a tenth of it
    uv run python benchmarks/reports.py --postgres postgresql://root@127.0.0.1:5432/test
    uv run python benchmarks/reports.py --quick --plans # and how SQLite goes about each
"""

import argparse
import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from big_ledger import BEGIN, CALLS_OF_A_RUN, end_of, fill
from rich.console import Console
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url

from engine.models.prices import PriceCatalogue
from engine.price_records import CostVersionRecord
from engine.reports.cache import caches
from engine.reports.cost import cost_by
from engine.reports.dimensions import DIMENSIONS
from engine.reports.drift import input_drift
from engine.reports.estimates import estimates, samples_of
from engine.reports.guards import guards
from engine.reports.health import GROUPS as HEALTH_GROUPS
from engine.reports.health import health
from engine.reports.measures import METRICS, Wanted, measure
from engine.reports.online import GROUPS as ONLINE_GROUPS
from engine.reports.online import online_scores
from engine.reports.per_outcome import GROUPS as OUTCOME_GROUPS
from engine.reports.per_outcome import cost_per_outcome
from engine.reports.playbook import playbook
from engine.reports.prices import check_prices
from engine.reports.queue import lanes_of, workers_of
from engine.reports.reprice import price_anew
from engine.reports.routes import routes, savings
from engine.reports.versions import version_rows
from engine.store.cost_versions import write_version
from engine.store.database import Database
from engine.store.ledger import SqlLedger

LIMIT = 3.0  # seconds that a report may take
console = Console()
Reports = dict[str, Callable[[], Awaitable[Any]]]


async def reprice(ledger: SqlLedger) -> None:
    """Price every call anew, and write that down."""
    catalogue = PriceCatalogue()
    found = await price_anew(ledger, catalogue)
    version = CostVersionRecord(
        version=0, created_at=BEGIN, price_catalogue_id=catalogue.catalogue_id, calls=len(found.costs)
    )
    await write_version(ledger, version, found.costs)


def reports(ledger: SqlLedger, runs: int, *, reprices: bool) -> Reports:
    """Give every report by name; the last ones write and read a cost version."""
    end = end_of(runs)
    half = BEGIN + (end - BEGIN) / 2
    found: Reports = {f"cost --by {name}": lambda name=name: cost_by(ledger, [name]) for name in DIMENSIONS}
    found["cost --by workflow,model,tenant,day"] = lambda: cost_by(ledger, ["workflow", "model", "tenant", "day"])
    found["cost --by model --since (half)"] = lambda: cost_by(ledger, ["model"], since=half)
    for name in OUTCOME_GROUPS:
        found[f"cost --per-outcome --by {name}"] = lambda name=name: cost_per_outcome(ledger, [name])
    found["what cost says was saved"] = lambda: savings(ledger)
    for name in HEALTH_GROUPS:
        found[f"health --by {name}"] = lambda name=name: health(ledger, [name], since=BEGIN, now=end)
    found["health --since 1d"] = lambda: health(ledger, ["node"], since=end - timedelta(days=1), now=end)
    found["guard report"] = lambda: guards(ledger)
    found["routes"] = lambda: routes(ledger)
    found["queue show"] = lambda: lanes_of(ledger)
    found["workers"] = lambda: workers_of(ledger)
    found["versions"] = lambda: ledger.read(lambda connection: version_rows(connection, None))
    found["runs"] = ledger.runs
    found["runs --status failed"] = lambda: ledger.runs(status="failed")
    found["runs --workflow --since"] = lambda: ledger.runs(workflow="workflow-1", since=half)
    found["runs --tenant"] = lambda: ledger.runs(tenant="tenant-1")
    found["show (a part of an id)"] = lambda: ledger.run(f"{runs // 2:024x}")
    found["cache show"] = lambda: caches(ledger, BEGIN)
    found["prices check"] = lambda: check_prices(ledger, PriceCatalogue(), BEGIN, {})
    for name in ONLINE_GROUPS:
        found[f"eval online --by {name}"] = lambda name=name: online_scores(ledger, [name])
    found |= _watched(ledger, half, end)

    async def estimate() -> None:
        await estimates(ledger, await samples_of(ledger))

    found["estimate"] = estimate
    if reprices:
        found["prices reprice"] = lambda: reprice(ledger)
        found["cost --by model --cost-version 1"] = lambda: cost_by(ledger, ["model"], cost_version=1)
    return found


def _watched(ledger: SqlLedger, half: Any, end: Any) -> Reports:
    """Give what alarms look at, over half of the ledger against the other half."""
    found: Reports = {}
    for metric in METRICS:
        of = "grounded" if metric.startswith("score") else None
        where = {"workflow": "workflow-1"} if metric.endswith("drift") else {}
        wanted = Wanted(metric=metric, baseline=BEGIN, since=half, until=end, where=where, of=of)
        found[f"alarm on {metric}"] = lambda wanted=wanted: measure(ledger, wanted)
        found[f"playbook of {metric}"] = lambda wanted=wanted: playbook(ledger, wanted)
    times = {"baseline": BEGIN, "since": half, "until": end}
    found["drift of inputs"] = lambda: input_drift(ledger, "workflow-1", **times)
    return found


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
def database_for(postgres: str | None) -> Generator[str]:
    """Make a database for the ledger, and remove it afterwards."""
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000, help="how many runs, of ten calls each")
    parser.add_argument("--quick", action="store_true", help="10,000 runs")
    parser.add_argument("--postgres", help="a database of a server on which another one is made; else SQLite")
    parser.add_argument("--only", default="", help="only reports that have this in their name")
    parser.add_argument("--reprice", action="store_true", help="price every call anew, too, which takes minutes")
    parser.add_argument("--plans", action="store_true", help="show the plan of each query, on SQLite")
    given = parser.parse_args()
    runs = 10_000 if given.quick else given.runs
    with database_for(given.postgres) as url:
        ledger = SqlLedger(Database.open(url, migrate=True))
        try:
            began = time.perf_counter()
            fill(ledger.database, runs)
            took = time.perf_counter() - began
            console.print(f"{runs:,} runs, {runs * CALLS_OF_A_RUN:,} calls written in {took:.1f} s")
            if given.plans:
                _show_plans(ledger.database)
            wanted = {
                name: one for name, one in reports(ledger, runs, reprices=given.reprice).items() if given.only in name
            }
            await _time(ledger, wanted)
        finally:
            await ledger.close()


async def _time(ledger: SqlLedger, wanted: Reports) -> None:
    console.print(f"{'report':<44}{'CPU s':>7}{'s':>8}")
    for name, report in wanted.items():
        before, began = cpu_of(ledger), time.perf_counter()
        await report()
        took, used = time.perf_counter() - began, cpu_of(ledger) - before
        console.print(f"{name:<44}{used:>7.2f}{took:>8.2f}{'  too long' if used > LIMIT else ''}", highlight=False)


def _show_plans(database: Database) -> None:
    @event.listens_for(database.engine, "before_cursor_execute")
    def explain(_: Any, cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        if statement.startswith("SELECT"):
            for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
                console.print(f"  {row[3]}", markup=False)


if __name__ == "__main__":
    asyncio.run(main())

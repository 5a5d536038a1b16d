"""How long reports take over a ledger of many calls, which is filled straight through its tables.

The ledger is a SQLite file in a temporary folder, unless another database is named; that one must be empty.

    uv run python benchmarks/reports.py --calls 100000
    uv run python benchmarks/reports.py --plans     # and how SQLite goes about each
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, event, insert

from engine.errors import InputError
from engine.models.prices import PriceCatalogue
from engine.price_records import CostVersionRecord
from engine.records import CallRecord, OutcomeRecord, RunRecord, RunStatus, StepRecord
from engine.reports.cache import caches
from engine.reports.cost import cost_by
from engine.reports.dimensions import DIMENSIONS
from engine.reports.estimates import estimates, samples_of
from engine.reports.guards import guards
from engine.reports.health import GROUPS as HEALTH_GROUPS
from engine.reports.health import health
from engine.reports.per_outcome import GROUPS as OUTCOME_GROUPS
from engine.reports.per_outcome import cost_per_outcome
from engine.reports.prices import check_prices
from engine.reports.queue import lanes_of, workers_of
from engine.reports.reprice import price_anew
from engine.reports.routes import routes, savings
from engine.store import tables
from engine.store.cost_versions import write_version
from engine.store.database import Database
from engine.store.ledger import SqlLedger

CALLS_OF_A_RUN = 10
RUNS_AT_ONCE = 1_000
BEGIN = datetime(2026, 9, 1, tzinfo=UTC)
MODELS = (("openai", "gpt-5-mini"), ("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"))
STATUSES = (*[RunStatus.SUCCEEDED] * 9, RunStatus.FAILED)
Rows = dict[str, list[dict[str, Any]]]
console = Console()


def rows_of(number: int, chance: random.Random, request: str) -> Rows:
    """Make a run with a step and a call for each of its calls, one in ten of them a failed attempt."""
    run_id, began = f"{number:032x}", BEGIN + timedelta(minutes=number)
    run = RunRecord(
        run_id=run_id,
        workflow=f"workflow-{number % 7}",
        version="v1",
        status=chance.choice(STATUSES),
        started_at=began,
        tenant=f"tenant-{number % 50}",
        user_id=f"user-{number % 1000}",
    )
    found: Rows = {"runs": [asdict(run)], "steps": [], "calls": [], "outcomes": []}
    for place in range(CALLS_OF_A_RUN):
        step_id = f"{place:016x}"
        provider, model = MODELS[chance.randrange(3)]
        failed = chance.random() < 0.1
        step = StepRecord(
            step_id=step_id,
            run_id=run_id,
            seq=place,
            node_name=f"node-{place}",
            node_kind="engine:Generate",
            visit=1,
            started_at=began,
            status="ok",
            cached=chance.random() < 0.05,
        )
        call = CallRecord(
            call_id=f"{chance.getrandbits(64):016x}",
            run_id=run_id,
            step_id=step_id,
            node_name=step.node_name,
            ordinal=1,
            attempt=1,
            operation_name="chat",
            target="large",
            started_at=began,
            request_hash="h",
            request_payload=request,
            provider_name=provider,
            request_model=model,
            status="failed" if failed else "ok",
            usage_input_tokens=None if failed else chance.randrange(100, 8_000),
            usage_output_tokens=None if failed else chance.randrange(1, 800),
            cost_nano_usd=None if failed else chance.randrange(10**5, 10**8),
            charged_nano_usd=10**7,
            purpose="answer",
        )
        found["steps"].append(asdict(step))
        found["calls"].append(asdict(call))
    if number % 3 == 0:
        said = OutcomeRecord(run_id=run_id, name="solved", source="person", created_at=began, success=number % 2 == 0)
        found["outcomes"].append(asdict(said))
    return found


async def fill(ledger: SqlLedger, calls: int) -> None:
    """Insert the rows, many at a time."""
    chance = random.Random(1)  # the same ledger each time
    message = {"role": "human", "content": "How long do refunds take?"}
    request = json.dumps(
        {"model": "large", "messages": [message], "max_tokens": 400}
    )  # short enough to stand in the row

    def insert_some(connection: Connection, first: int, last: int) -> None:
        every = [rows_of(number, chance, request) for number in range(first, last)]
        for name in ("runs", "steps", "calls", "outcomes"):
            if rows := [row for one in every for row in one[name]]:
                connection.execute(insert(tables.metadata.tables[name]), rows)

    for first in range(0, calls // CALLS_OF_A_RUN, RUNS_AT_ONCE):
        last = min(first + RUNS_AT_ONCE, calls // CALLS_OF_A_RUN)
        await ledger.change(lambda connection, first=first, last=last: insert_some(connection, first, last))


async def reprice(ledger: SqlLedger) -> None:
    """Price every call anew, and write that down."""
    catalogue = PriceCatalogue()
    found = await price_anew(ledger, catalogue)
    version = CostVersionRecord(
        version=0, created_at=BEGIN, price_catalogue_id=catalogue.catalogue_id, calls=len(found.costs)
    )
    await write_version(ledger, version, found.costs)


def reports(ledger: SqlLedger) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Give every report by name; the last ones write and read a cost version."""
    week = BEGIN + timedelta(minutes=50_000)
    found: dict[str, Callable[[], Awaitable[Any]]] = {
        f"cost --by {name}": lambda name=name: cost_by(ledger, [name]) for name in DIMENSIONS
    }
    found["cost --by workflow,model,tenant,day"] = lambda: cost_by(ledger, ["workflow", "model", "tenant", "day"])
    found["cost --by model --since"] = lambda: cost_by(ledger, ["model"], since=week)
    for name in OUTCOME_GROUPS:
        found[f"cost --per-outcome --by {name}"] = lambda name=name: cost_per_outcome(ledger, [name])
    found["what cost says was saved"] = lambda: savings(ledger)
    end = BEGIN + timedelta(minutes=100_000)
    for name in HEALTH_GROUPS:
        found[f"health --by {name} (the newest 100,000)"] = lambda name=name: health(
            ledger, [name], since=BEGIN, now=end
        )
    found["health --since 1d"] = lambda: health(ledger, ["node"], since=end - timedelta(days=1), now=end)
    found["guard report"] = lambda: guards(ledger)
    found["routes"] = lambda: routes(ledger)
    found["queue show"] = lambda: lanes_of(ledger)
    found["workers"] = lambda: workers_of(ledger)
    found["runs --status failed"] = lambda: ledger.runs(status="failed")
    found["runs --workflow --since"] = lambda: ledger.runs(workflow="workflow-1", since=week)
    found["show (a part of an id)"] = lambda: ledger.run("f3")
    found["cache show"] = lambda: caches(ledger, BEGIN)
    found["prices check"] = lambda: check_prices(ledger, PriceCatalogue(), BEGIN, {})

    async def estimate() -> None:
        await estimates(ledger, await samples_of(ledger))

    found["estimate (the newest 20,000)"] = estimate
    found["prices reprice"] = lambda: reprice(ledger)
    found["cost --by model --cost-version 1"] = lambda: cost_by(ledger, ["model"], cost_version=1)
    return found


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000, help="how many calls the ledger has")
    parser.add_argument("--database", help="an empty database; else a SQLite file that is deleted afterwards")
    parser.add_argument("--plans", action="store_true", help="show the plan of each query, on SQLite")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ledger = SqlLedger(Database.open(given.database or f"sqlite:///{folder}/runs.db", migrate=True))
        try:
            if await ledger.runs(limit=1):
                raise InputError("the database has runs in it already: name an empty one")
            if given.plans:
                _show_plans(ledger.database)
            began = time.perf_counter()
            await fill(ledger, given.calls)
            console.print(f"{given.calls:,} calls written in {time.perf_counter() - began:.1f} s")
            table = Table("report", "seconds", box=None, pad_edge=False)
            for name, report in reports(ledger).items():
                if given.plans:
                    console.rule(name)
                began = time.perf_counter()
                await report()
                table.add_row(name, f"{time.perf_counter() - began:.2f}")
            console.print(table)
        finally:
            await ledger.close()


def _show_plans(database: Database) -> None:
    @event.listens_for(database.engine, "before_cursor_execute")
    def explain(_: Any, cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        if statement.startswith("SELECT") and " JOIN " in statement:
            for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
                console.print(f"  {row[3]}", markup=False)


asyncio.run(main())

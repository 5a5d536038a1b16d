"""Every report by the command that shows it, each doing all that the command asks of the ledger."""

import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from big_ledger import BEGIN, MODELS, end_of, run_id_of
from sqlalchemy import Connection

from engine.app import App
from engine.cli.tree import Recorded
from engine.evals.online import OVERLAP
from engine.exports.table_files import FORMATS
from engine.models.prices import PriceCatalogue
from engine.operating.metrics import Metrics
from engine.price_records import CostVersionRecord
from engine.replay.run_difference import run_difference
from engine.reports.cache import caches
from engine.reports.cost import cost_by
from engine.reports.dimensions import DIMENSIONS
from engine.reports.drift import input_drift
from engine.reports.estimates import estimates, samples_of
from engine.reports.guards import guard_costs, guards
from engine.reports.health import GROUPS as HEALTH_GROUPS
from engine.reports.health import health
from engine.reports.invoice import Invoice, reconcile
from engine.reports.measures import METRICS, Wanted, measure
from engine.reports.online import GROUPS as ONLINE_GROUPS
from engine.reports.online import online_scores
from engine.reports.per_outcome import GROUPS as OUTCOME_GROUPS
from engine.reports.per_outcome import cost_per_outcome
from engine.reports.playbook import playbook
from engine.reports.prices import check_prices
from engine.reports.queue import lanes_of, limits_of, workers_of
from engine.reports.reprice import price_anew
from engine.reports.routes import routes, savings
from engine.reports.thinning import thinned_to
from engine.reports.versions import version_rows
from engine.store import retention, samples
from engine.store.cost_versions import write_version
from engine.store.ended_runs import Scope
from engine.store.ledger import SqlLedger
from engine.store.replay_batches import Selection
from engine.store.table_rows import TableWanted, table_named
from engine.worker import Worker

Reports = dict[str, Callable[[], Awaitable[Any]]]


def reports(app: App, runs: int, *, reprices: bool) -> Reports:
    """Give every report by name; the last ones write and read a cost version."""
    ledger, end = app.ledger, end_of(runs)
    half = BEGIN + (end - BEGIN) / 2
    found = {**_of_costs(ledger, half), **_of_runs(app, runs, half, end), **_watched(app, half, end)}
    if reprices:
        found["prices reprice"] = lambda: _reprice(ledger)
        found["cost --by model --cost-version 1"] = lambda: cost_by(ledger, ["model"], cost_version=1)
    return found


async def _cost(ledger: SqlLedger, by: Sequence[str], since: datetime | None = None, *, exact: bool = False) -> None:
    """Do as `flowledger cost` does: add up by what is asked, by what was wasted, and what was saved."""
    for each in (list(by), ["use"]):
        one_in = 1 if exact else await thinned_to(ledger, each, since=since)
        await cost_by(ledger, each, since=since, one_in=one_in)
    await savings(ledger, since=since)


async def _reprice(ledger: SqlLedger) -> None:
    """Price every call anew, and write that down."""
    catalogue = PriceCatalogue()
    found = await price_anew(ledger, catalogue)
    version = CostVersionRecord(
        version=0, created_at=BEGIN, price_catalogue_id=catalogue.catalogue_id, calls=len(found.costs)
    )
    await write_version(ledger, version, found.costs)


def _of_costs(ledger: SqlLedger, half: datetime) -> Reports:
    found: Reports = {f"cost --by {name}": partial(_cost, ledger, [name]) for name in DIMENSIONS}
    found["cost --by workflow,model"] = partial(_cost, ledger, ["workflow", "model"])
    found["cost --by tenant,use"] = partial(_cost, ledger, ["tenant", "use"])
    found["cost --by workflow,model,tenant,day"] = partial(_cost, ledger, ["workflow", "model", "tenant", "day"])
    found["cost --by model --since (half)"] = partial(_cost, ledger, ["model"], half)
    found["cost --exact --by workflow"] = partial(_cost, ledger, ["workflow"], exact=True)
    found["cost --exact --by model"] = partial(_cost, ledger, ["model"], exact=True)
    for name in OUTCOME_GROUPS:
        found[f"cost --per-outcome --by {name}"] = partial(cost_per_outcome, ledger, [name])

    async def compare() -> None:
        days = [(BEGIN + timedelta(days=number)).date().isoformat() for number in range(30)]
        invoice = Invoice("USD", {(day, model): 1 for day in days for _, model in MODELS})  # pyright: ignore[reportArgumentType]
        await reconcile(ledger, invoice, provider=None, tolerance=0.01)

    found["cost reconcile (30 days)"] = compare
    found["prices check"] = lambda: check_prices(ledger, PriceCatalogue(), BEGIN, {})
    return found


def _of_runs(app: App, runs: int, half: datetime, end: datetime) -> Reports:
    ledger, run_id = app.ledger, run_id_of(runs // 2)
    found: Reports = {}
    for name in HEALTH_GROUPS:
        found[f"health --by {name}, all of the time"] = partial(health, ledger, [name], since=BEGIN, now=end)
    found["health --since 1d"] = partial(health, ledger, ["node"], since=end - timedelta(days=1), now=end)

    async def both(since: datetime | None = None) -> None:
        await guards(ledger, since=since)
        await guard_costs(ledger, since=since)

    found["guard report"] = both
    found["guard report --since 7d"] = partial(both, end - timedelta(days=7))
    found["routes"] = partial(routes, ledger)
    found["routes --since 7d"] = partial(routes, ledger, since=end - timedelta(days=7))
    found["queue show"] = partial(_queue, ledger)
    found["workers"] = partial(workers_of, ledger)
    found["metrics of a worker"] = lambda: Metrics(Worker(app)).text()
    found["versions"] = lambda: ledger.read(lambda connection: version_rows(connection, None))
    found["cache show"] = lambda: caches(ledger, BEGIN)
    found["runs"] = ledger.runs
    found["runs --status failed"] = partial(ledger.runs, status="failed")
    found["runs --status running (there is none)"] = partial(ledger.runs, status="running")
    found["runs --workflow --since"] = partial(ledger.runs, workflow="workflow-1", since=half)
    found["runs --tenant --status"] = partial(ledger.runs, tenant="tenant-1", status="failed")
    found["runs --status --workflow --tenant"] = partial(
        ledger.runs, status="failed", workflow="workflow-1", tenant="tenant-1"
    )
    found["GET /v1/runs, a page in the middle"] = partial(ledger.runs, limit=51, before=(half, "f" * 32))
    found["GET /v1/runs, of a tenant"] = partial(ledger.runs, tenant="tenant-1", limit=51, before=(half, "f" * 32))
    found["GET /v1/runs, of no tenant"] = partial(ledger.runs, untenanted=True, limit=51)
    found["show RUN"] = partial(Recorded.of, ledger, run_id)
    found["show (a part of an id)"] = partial(Recorded.of, ledger, run_id[-8:])

    async def compare() -> None:
        await run_difference(ledger, *[await ledger.run(run_id_of(number)) for number in (10, 11)])

    found["diff RUN RUN"] = compare
    found |= _of_many(app, half, end)
    return found


async def _queue(ledger: SqlLedger) -> None:
    await lanes_of(ledger)
    await limits_of(ledger)


def _of_many(app: App, half: datetime, end: datetime) -> Reports:
    ledger = app.ledger

    async def add(**conditions: str) -> None:
        ids = await app.runs_where(conditions)
        await app.add_cases(f"of {conditions}", await app.cases_from_runs(ids))

    def write(connection: Connection, name: str, since: datetime | None, suffix: str) -> None:
        wanted = TableWanted(table=table_named(name), since=since)
        with Path(os.devnull).open("wb" if suffix == "parquet" else "w") as file:
            writer = FORMATS[suffix](file, wanted.columns)
            for some in wanted.rows(connection):
                writer.write(some)
            writer.close()

    def export(name: str, since: datetime | None = None, suffix: str = "csv") -> Callable[[], Awaitable[None]]:
        return lambda: ledger.read(partial(write, name=name, since=since, suffix=suffix))

    async def estimate() -> None:
        await estimates(ledger, await samples_of(ledger))

    found: Reports = {"estimate": estimate}
    found["dataset add --where status=failed"] = partial(add, status="failed")
    found["dataset add --where outcome=failure"] = partial(add, outcome="failure")
    found["replay --where, 1,000 of all"] = lambda: app.select_runs(
        Selection(workflow="workflow-1", where=["calls.status=failed"], sample=1_000)
    )
    found["export table runs"] = export("runs")
    found["export table calls --since 7d"] = export("calls", end - timedelta(days=7))
    found["export table calls --since 7d (Parquet)"] = export("calls", end - timedelta(days=7), "parquet")
    found["db prune --dry-run"] = lambda: retention.plan(ledger, Scope(half))
    found["db prune --runs --dry-run"] = lambda: retention.plan(ledger, Scope(half, whole_runs=True))
    return found


def _watched(app: App, half: datetime, end: datetime) -> Reports:
    """Give what workers look at: alarms over half of the ledger against the other half, and what is to be scored."""
    ledger = app.ledger
    found: Reports = {}
    for name in ONLINE_GROUPS:
        found[f"eval online --by {name}"] = partial(online_scores, ledger, [name])
    found["online: which runs began"] = lambda: ledger.read(
        partial(samples.begun, workflow="workflow-1", after=(end - OVERLAP, ""))
    )
    found["online: which have ended"] = lambda: ledger.read(
        partial(samples.ended, workflow="workflow-1", but=set(), most=20)
    )
    found["online: what judges cost today"] = lambda: ledger.read(
        partial(samples.spent_on_judges, workflow="workflow-1", since=end - timedelta(days=1))
    )
    for metric in METRICS:
        of = "grounded" if metric.startswith("score") else None
        where = {"workflow": "workflow-1"} if metric.endswith("drift") else {}
        wanted = Wanted(metric=metric, baseline=BEGIN, since=half, until=end, where=where, of=of)
        found[f"alarm on {metric}"] = partial(measure, ledger, wanted)
        found[f"playbook of {metric}"] = partial(playbook, ledger, wanted)
    rare = Wanted(metric="tool_failure_rate", baseline=BEGIN, since=half, until=end, where={"tool": "never-called"})
    found["alarm on a tool that nobody calls"] = partial(measure, ledger, rare)
    times = {"baseline": BEGIN, "since": half, "until": end}
    found["drift of inputs"] = lambda: input_drift(ledger, "workflow-1", **times)
    return found

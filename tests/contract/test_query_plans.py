"""How databases go about reports of a time: they look at what is in it, and at no call, step or run beside that.

PostgreSQL goes by statistics, which some thousand calls are enough for, and SQLite by rules.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, select, text

from benchmarks.big_ledger import BEGIN, end_of, fill, run_id_of
from engine.replay.run_difference import run_difference
from engine.reports.cost import cost_by
from engine.reports.estimates import samples_of
from engine.reports.guards import guard_costs
from engine.reports.health import GROUPS, health
from engine.reports.measures import METRICS, Wanted, measure
from engine.reports.online import online_scores
from engine.reports.per_outcome import cost_per_outcome
from engine.reports.playbook import playbook
from engine.reports.queue import workers_of
from engine.reports.routes import routes, savings
from engine.reports.usual_usage import usual_usage
from engine.store import samples
from engine.store.datasets import runs_where
from engine.store.ledger import SqlLedger
from engine.store.run_queue import reap
from engine.store.tables import IS_RUNNING, metadata, runs

RUNS = 2_000
END = end_of(RUNS)
LATE = END - timedelta(hours=1)  # the last 60 runs
LARGE = ("calls", "steps", "runs")


@pytest.fixture
def filled(ledger: SqlLedger) -> Iterator[SqlLedger]:
    """Fill a ledger; what stays of so many rows would change plans and the order of rows in tests that follow."""
    fill(ledger.database, RUNS)
    yield ledger
    if not ledger.database.is_sqlite:
        with ledger.database.engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(table.name for table in metadata.sorted_tables)}"))


@contextmanager
def plans_of(ledger: SqlLedger) -> Iterator[list[str]]:
    """Gather the large tables that are read from end to end, each with how; and all else that is said of plans."""
    is_sqlite, found = ledger.database.is_sqlite, list[str]()

    def explain(_connection, cursor, statement, parameters, *_more):
        if not statement.startswith(("SELECT", "WITH")):
            return
        with closing(cursor.connection.cursor()) as own:
            if is_sqlite:
                own.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                found.extend(row[3] for row in own.fetchall())
            else:
                own.execute("SET LOCAL enable_seqscan = off")  # a table of few pages is read faster as a whole
                own.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
                found.extend(told(own.fetchone()[0][0]["Plan"]))

    event.listen(ledger.database.engine, "before_cursor_execute", explain)
    yield found
    event.remove(ledger.database.engine, "before_cursor_execute", explain)


def told(plan: dict[str, Any]) -> Iterator[str]:
    """Give a plan of PostgreSQL in the words of SQLite, a line a table."""
    inner = plan.get("Plans", ())
    if "Relation Name" in plan:
        found = next((one for one in (plan, *inner) if "Index Name" in one), {})
        index = found.get("Index Name", "_pkey")
        by = "" if index.endswith("_pkey") else f" USING INDEX {index}"
        yield f"{'SEARCH' if 'Index Cond' in found else 'SCAN'} {plan['Relation Name']}{by}"
    for one in inner:
        yield from told(one)


def read_whole(lines: list[str]) -> list[str]:
    """Give those lines that say that a large table is read from end to end, and not by an index of few of its rows."""
    return [line for line in lines if line in {f"SCAN {table}" for table in LARGE}]


def of_a_time(ledger: SqlLedger) -> dict[str, Callable[[], Any]]:
    """Give the reports that are about part of a ledger."""
    found: dict[str, Callable[[], Any]] = {
        "runs": partial(ledger.runs, limit=20),
        "runs --status": partial(ledger.runs, status="failed", limit=20),
        "runs --workflow --since": partial(ledger.runs, workflow="workflow-1", since=LATE, limit=20),
        "runs --tenant": partial(ledger.runs, tenant="tenant-1", limit=20),
        "a page of runs": partial(ledger.runs, limit=20, before=(LATE, run_id_of(1))),
        "show": partial(_each, partial(ledger.run, run_id_of(7)), partial(ledger.steps, run_id_of(7))),
        "its calls": partial(ledger.calls, run_id_of(7)),
        "diff": partial(_compared, ledger),
        "estimate": partial(samples_of, ledger, most=200),
        "estimate --since": partial(samples_of, ledger, since=LATE),
        "routes --since": partial(routes, ledger, since=LATE),
        "what was saved since": partial(savings, ledger, since=LATE),
        "what guardrails took": partial(guard_costs, ledger, since=LATE),
        "cost --since": partial(cost_by, ledger, ["model"], since=LATE),
        "cost --by use --since": partial(cost_by, ledger, ["use"], since=LATE),
        "cost --per-outcome --since": partial(cost_per_outcome, ledger, ["workflow"], since=LATE),
        "eval online --since": partial(online_scores, ledger, ["version"], since=LATE),
        "workers": partial(workers_of, ledger),
        "which runs began": lambda: ledger.read(
            partial(samples.begun, workflow="workflow-1", after=(LATE, run_id_of(1)))
        ),
        "which have ended": lambda: ledger.read(partial(samples.ended, workflow="workflow-1", but=(), most=20)),
        "what judges cost": lambda: ledger.read(partial(samples.spent_on_judges, workflow="workflow-1", since=LATE)),
        "what is usual": lambda: ledger.read(partial(usual_usage, workflow="workflow-1")),
        "dataset add": lambda: ledger.read(partial(runs_where, conditions={"outcome": "failure"}, since=None, limit=9)),
        "a beat": lambda: ledger.read(lambda c: c.execute(select(runs.c.run_id).where(IS_RUNNING)).all()),
        "who is dead": lambda: ledger.read(reap),
    }
    for name in GROUPS:
        found[f"health --by {name}"] = partial(health, ledger, [name], since=LATE, now=END)
    for metric in METRICS:
        of = "grounded" if metric.startswith("score") else None
        where = {"workflow": "workflow-1"} if metric.endswith("drift") else {}
        wanted = Wanted(metric=metric, baseline=LATE - timedelta(hours=1), since=LATE, until=END, where=where, of=of)
        found[f"alarm on {metric}"] = partial(measure, ledger, wanted)
        found[f"playbook of {metric}"] = partial(playbook, ledger, wanted)
    return found


async def _each(*asked: Callable[[], Any]) -> None:
    for one in asked:
        await one()


async def _compared(ledger: SqlLedger) -> None:
    await run_difference(ledger, *[await ledger.run(run_id_of(number)) for number in (7, 8)])


async def test_reports_of_a_time_read_no_large_table_from_end_to_end(filled):
    faults: dict[str, list[str]] = {}
    for name, report in of_a_time(filled).items():
        with plans_of(filled) as lines:
            await report()
        assert lines or "drift" in name or "lag" in name, name
        faults |= {name: whole} if (whole := read_whole(lines)) else {}
    assert faults == {}


async def test_what_is_newest_is_found_by_when_it_began_however_long_the_time_is(filled, monkeypatch):
    monkeypatch.setattr("engine.reports.health.MOST_CALLS", 500)
    with plans_of(filled) as lines:
        assert (await health(filled, ["node"], since=BEGIN, now=END)).is_sample
        await samples_of(filled, most=100)
    assert any("ix_runs_started_at" in line for line in lines)
    assert read_whole(lines) == []


async def test_a_sample_of_runs_reads_the_calls_of_these_alone(filled):
    if not filled.database.is_sqlite:
        pytest.skip("PostgreSQL thinks that a third of the runs are drawn, however few are")
    with plans_of(filled) as lines:
        await cost_by(filled, ["model"], one_in=64)
        await cost_by(filled, ["use"], one_in=64)
    assert [line for line in read_whole(lines) if "runs" not in line] == []


async def test_few_steps_of_a_whole_ledger_are_asked_for_by_their_own_indexes(filled):
    with plans_of(filled) as lines:
        await savings(filled)
        await routes(filled)
        await cost_by(filled, ["workflow"])
    said = "\n".join(lines)
    for index in ("ix_steps_saved_nano_usd", "ix_steps_routed", "ix_outcomes_run_id"):
        assert index in said
    assert "SCAN steps" not in lines


async def test_sessions_of_postgresql_compile_no_plan_and_have_room_to_sort(ledger):
    if ledger.database.is_sqlite:
        pytest.skip("SQLite has neither")
    with ledger.database.engine.connect() as connection:
        assert connection.scalar(text("SHOW jit")) == "off"
        room = "SELECT setting::int >= 32768 FROM pg_settings WHERE name = 'work_mem'"  # in KB; a server may give more
        assert connection.scalar(text(room))

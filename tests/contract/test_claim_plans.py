"""How databases find what a claim takes: by index and in order, also where they know nothing of the tables yet."""

import json
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import event, text

from engine.store.ledger import SqlLedger
from tests.databases import ready
from tests.queues import app_on, enqueue

LARGE = {"runs", "queue_entries"}
HEADS = ("SELECT", "WITH", "UPDATE")


@pytest.fixture
async def app(database_url):
    async with app_on(database_url if ":memory:" in database_url else ready(database_url)) as opened:
        yield opened


def explained(ledger: SqlLedger) -> list[str]:
    """Gather how statements that follow go about what they read, in a word each."""
    is_sqlite, found = ledger.database.is_sqlite, list[str]()

    def explain(_connection, cursor, statement, parameters, *_more):
        if not statement.lstrip().startswith(HEADS):
            return
        with closing(cursor.connection.cursor()) as own:
            if is_sqlite:
                own.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                ways = [row[3] for row in own.fetchall()]
                found.extend(way for way in ways if way.removeprefix("SCAN ") in LARGE or "status" in way)
                if any("queue_entries" in way for way in ways):
                    found.extend(way for way in ways if "TEMP B-TREE" in way)
            else:
                own.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
                plan: Any = own.fetchone()[0]
                found.extend(_long_ways((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))

    event.listen(ledger.database.engine, "before_cursor_execute", explain)
    return found


def _long_ways(plan: dict[str, Any], above: str = "") -> list[str]:
    """Name tables that are read whole or by an index of their status, and such as are sorted."""
    node, table = plan["Node Type"], plan.get("Relation Name", "")
    found = [f"{node} of {table}"] if node == "Seq Scan" and table in LARGE else []
    found += [plan["Index Name"]] if "status" in plan.get("Index Name", "") else []
    found += [f"{above} of {table}"] if above and table in LARGE else []
    sorts = node if "Sort" in node else above if node == "LockRows" else ""
    inner = [(one, "" if one["Parent Relationship"] == "InitPlan" else sorts) for one in plan.get("Plans", ())]
    return found + [way for one, sort in inner for way in _long_ways(one, sort)]


async def test_a_claim_reads_what_it_takes_and_neither_all_that_waits_nor_all_that_ever_ran(app):
    await enqueue(app, 40, lane="flood")
    await enqueue(app, 4, lane="small")
    found = explained(app.ledger)
    assert len(await app.claim(8)) == 8
    assert found == []


async def test_claims_on_postgresql_keep_to_indexes_by_plans_that_are_older_than_the_runs(app):
    if app.ledger.database.is_sqlite:
        pytest.skip("SQLite goes by rules, not by what is in its tables")
    shown = await app.ledger.change(lambda connection: connection.scalar(text("SHOW enable_seqscan")))
    reports = await app.ledger.read(lambda connection: connection.scalar(text("SHOW enable_seqscan")))
    assert (shown, reports) == ("off", "on")

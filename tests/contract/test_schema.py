"""Migrations lead to exactly the tables that the engine writes, on both dialects."""

import threading
from dataclasses import fields
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from engine import eval_records, monitor_records, price_records, records
from engine.errors import StoreError
from engine.store import schema, tables
from engine.store.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a database without tables, of each kind in turn."""
    sqlite = request.param == "sqlite"
    return f"sqlite:///{tmp_path}/runs.db" if sqlite else str(request.getfixturevalue("postgres_url"))


@pytest.mark.parametrize("step_by_step", [True, False])
def test_migrations_make_the_tables_that_are_declared(empty_url, step_by_step):
    database = Database.open(empty_url, migrate=False)
    schema.upgrade(database.engine, step_by_step=step_by_step)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.metadata) == []
    assert schema.current(database.engine) == schema.HEAD
    schema.upgrade(database.engine)
    database.close()


def test_the_head_is_the_last_migration_there_is():
    assert max(schema.revisions()) == schema.HEAD


def test_a_column_stands_for_each_field_of_a_record():
    for name, record in {
        "versions": records.VersionRecord,
        "runs": records.RunRecord,
        "steps": records.StepRecord,
        "calls": records.CallRecord,
        "verdicts": records.VerdictRecord,
        "guard_times": records.GuardTimeRecord,
        "outcomes": records.OutcomeRecord,
        "prices": price_records.PriceRecord,
        "cost_versions": price_records.CostVersionRecord,
        "call_costs": price_records.CallCostRecord,
        "calibrations": price_records.CalibrationRecord,
        "datasets": eval_records.DatasetRecord,
        "cases": eval_records.CaseRecord,
        "experiments": eval_records.ExperimentRecord,
        "scores": eval_records.ScoreRecord,
        "samples": monitor_records.SampleRecord,
        "alarms": monitor_records.AlarmRecord,
        "alarm_events": monitor_records.AlarmEventRecord,
    }.items():
        columns = {column.name for column in tables.metadata.tables[name].columns} - {"id"}
        assert columns == {field.name for field in fields(record)}


def test_postgresql_waits_for_the_upgrade_command(postgres_url):
    with pytest.raises(StoreError, match="run `flowledger db upgrade`"):
        Database.open(postgres_url)
    Database.open(postgres_url, migrate=True).close()
    Database.open(postgres_url).close()


def test_a_newer_schema_is_left_alone(empty_url):
    database = Database.open(empty_url, migrate=True)
    with database.engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(StoreError, match="has the schema 9999, which this flowledger does not know"):
        Database.open(empty_url)


def test_many_may_open_a_fresh_database_at_once(tmp_path):
    failures: list[Exception] = []

    def open_it() -> None:
        try:
            Database.open(f"sqlite:///{tmp_path}/runs.db").close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []

"""Which schema a database has, and how it comes to the one that this engine needs."""

from functools import cache
from pathlib import Path

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateIndex, CreateTable

from engine.store.tables import metadata

HEAD = "0025"
"""The revision that this engine reads and writes."""

_FOLDER = Path(__file__).parent / "migrations"
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def current(engine: Engine) -> str | None:
    """Give the revision of a database; None if it has no ledger yet."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def revisions() -> set[str]:
    """Give every revision that this engine knows."""
    return {path.name[1:5] for path in (_FOLDER / "versions").glob("v*.py")}


def upgrade(engine: Engine, *, step_by_step: bool = False) -> None:
    """Bring a database to HEAD, in one transaction; several processes may try at once.

    An empty one gets its tables as they are declared, which is the same and takes a tenth of the time, unless it is to
    be brought there step by step.
    """
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name != "sqlite":  # SQLite's BEGIN IMMEDIATE is lock enough
            connection.execute(text("SET LOCAL lock_timeout = 0"))  # another process may migrate for long
            connection.execute(text("SELECT pg_advisory_xact_lock(7021971)"))
        if not step_by_step and not inspect(connection).has_table(_VERSION.name):
            for statement in _declarations(engine.url.drivername):
                connection.exec_driver_sql(statement)
            connection.execute(_VERSION.insert().values(version_num=HEAD))
        else:
            _migrate(connection)


@cache
def _declarations(driver: str) -> tuple[str, ...]:
    """Give the statements that make every table; to word them takes longer than to execute them."""
    dialect = make_url(f"{driver}://").get_dialect()()
    tables = [*metadata.sorted_tables, _VERSION]
    made = [*map(CreateTable, tables), *(CreateIndex(index) for table in tables for index in table.indexes)]
    return tuple(str(each.compile(dialect=dialect)) for each in made)


def _migrate(connection: Connection) -> None:
    from alembic import command  # it takes a while to import, and is needed seldom in the life of a database
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

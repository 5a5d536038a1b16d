"""Which schema a database has, and how it comes to the one that this engine needs."""

from pathlib import Path

from sqlalchemy import Engine, inspect, text

HEAD = "0015"
"""The revision that this engine reads and writes."""

_FOLDER = Path(__file__).parent / "migrations"


def current(engine: Engine) -> str | None:
    """Give the revision of a database; None if it has no ledger yet."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def revisions() -> set[str]:
    """Give every revision that this engine knows."""
    return {path.name[1:5] for path in (_FOLDER / "versions").glob("v*.py")}


def upgrade(engine: Engine) -> None:
    """Bring a database to HEAD, in one transaction; several processes may try at once."""
    from alembic import command  # it takes a while to import, and is needed once in the life of a database
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name != "sqlite":  # SQLite's BEGIN IMMEDIATE is lock enough
            connection.execute(text("SET LOCAL lock_timeout = 0"))  # another process may migrate for long
            connection.execute(text("SELECT pg_advisory_xact_lock(7021971)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

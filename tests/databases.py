"""The databases that tests run on."""

import uuid

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from engine.store.database import Database
from engine.store.tables import metadata

SHARED = pytest.mark.parametrize(  # a database in memory belongs to one ledger
    "database_url", ["sqlite file", "postgresql"], indirect=True
)


def ready(url: str) -> str:
    """Bring a database up to date, as `flowledger db upgrade` does."""
    Database.open(url, migrate=True).close()
    return url


def engine_of(url: str) -> Engine:
    """Connect to a PostgreSQL server."""
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


class Schemas:
    """Schemas of a PostgreSQL server; one with a ledger goes emptied to the next test, since making one takes long."""

    def __init__(self, server: str) -> None:
        self._server, self._engine = server, engine_of(server)
        self._ready: list[str] = []

    def address_of(self, schema: str) -> str:
        """Give the address of a schema."""
        joint = "&" if "?" in self._server else "?"
        return f"{self._server}{joint}options=-csearch_path%3D{schema}"

    def make(self) -> str:
        """Make a schema with nothing in it."""
        schema = f"test_{uuid.uuid4().hex[:12]}"
        self._do(f"CREATE SCHEMA {schema}")
        return schema

    def drop(self, schema: str) -> None:
        """Drop a schema and all that is in it."""
        self._do(f"DROP SCHEMA {schema} CASCADE")

    def take_ledger(self) -> str:
        """Give a schema with an empty ledger."""
        if self._ready:
            return self._ready.pop()
        schema = self.make()
        ready(self.address_of(schema))
        return schema

    def give_back(self, schema: str) -> None:
        """Empty a ledger for the next test; drop one that somebody still holds locked."""
        deletions = [f"DELETE FROM {schema}.{table.name}" for table in reversed(metadata.sorted_tables)]
        names = f"SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences WHERE schemaname = '{schema}'"
        anew = f"SELECT setval(name, 1, false) FROM ({names}) AS sequences (name)"
        try:
            self._do("; ".join(["SET LOCAL lock_timeout = '1s'", *deletions, anew]))
        except DBAPIError:
            self.drop(schema)
        else:
            self._ready.append(schema)

    def close(self) -> None:
        """Drop what was kept."""
        for schema in self._ready:
            self.drop(schema)
        self._engine.dispose()

    def _do(self, statement: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement))

"""The databases that tests run on."""

import pytest

from engine.store.database import Database

SHARED = pytest.mark.parametrize(  # a database in memory belongs to one ledger
    "database_url", ["sqlite file", "postgresql"], indirect=True
)


def ready(url: str) -> str:
    """Bring a database up to date, as `flowledger db upgrade` does."""
    Database.open(url, migrate=True).close()
    return url

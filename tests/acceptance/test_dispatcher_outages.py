"""Workers go on being told of runs when a connection was lost, and find them by looking while nobody tells them."""

import asyncio
import logging
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from engine.errors import ConfigurationError
from engine.store.database import Database
from tests.databases import ready
from tests.dispatchers import Cable, next_of, working
from tests.queues import enqueue, told_app


async def test_a_worker_whose_listening_connection_is_killed_listens_again(postgres_url, rarely_looking):
    admin = Database.open(ready(postgres_url))
    listens = "query LIKE 'LISTEN%' AND query LIKE '%' || current_schema() || '%'"
    kill = text(f"SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity WHERE {listens}")

    def killed() -> int:
        with admin.engine.begin() as connection:
            return connection.execute(kill).scalar() or 0

    async with told_app(postgres_url) as queueing, told_app(postgres_url) as app, working(app) as ended:
        for _ in range(3):
            (run_id,) = await enqueue(queueing)
            assert await next_of(ended) == (run_id, "succeeded")
            while not killed():  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # it has not begun to listen again
    admin.close()


async def test_a_worker_that_was_cut_off_from_nats_is_told_when_that_is_back(postgres_url, nats_url, rarely_looking):
    there = urlsplit(nats_url)
    cable = Cable(there.hostname, there.port or 4222)
    await cable.mend()
    url, address = ready(postgres_url), f"nats://127.0.0.1:{cable.port}{there.path}"
    async with told_app(url, address) as queueing, told_app(url, address) as app, working(app) as ended:
        for _ in range(2):
            (before,) = await enqueue(queueing)
            assert await next_of(ended) == (before, "succeeded")
            await cable.cut()
            (meanwhile,) = await enqueue(queueing)
            await cable.mend()
            assert await next_of(ended) == (meanwhile, "succeeded")
    await cable.cut()


async def test_nobody_fails_because_nats_is_down_and_workers_say_once_that_they_look(postgres_url, caplog):
    cable = Cable("127.0.0.1", 1)
    await cable.mend()
    await cable.cut()
    url, address = ready(postgres_url), f"nats://user:secret@127.0.0.1:{cable.port}"
    caplog.set_level(logging.INFO, "engine.dispatch")
    async with told_app(url, address) as queueing, told_app(url, address) as app, working(app) as ended:
        while not caplog.records:
            (run_id,) = await enqueue(queueing)
            assert await next_of(ended) == (run_id, "succeeded")
    (said,) = caplog.messages
    assert said.startswith("NATS is not heard, so idle workers look once a second: ")
    assert "secret" not in said


async def test_hints_for_a_version_that_a_worker_has_not_reach_one_that_has(postgres_url, nats_url, rarely_looking):
    url = ready(postgres_url)
    async with told_app(url, nats_url) as old, told_app(url, nats_url, version="new") as new:
        async with working(old) as ended_old, working(new) as ended_new:
            for _ in range(3):
                (before,), (after,) = await enqueue(old, lane="old"), await enqueue(new, lane="new")
                assert await next_of(ended_old) == (before, "succeeded")
                assert await next_of(ended_new) == (after, "succeeded")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("kafka://host", "begins with 'kafka': write nats://HOST/NAME, postgresql://USER@HOST/NAME, or local"),
        ("nats://", "the address of NATS cannot be read: write nats://HOST:4222"),
        ("nats://host:port", "the address of NATS cannot be read"),
        ("nats://one/a,nats://two/b", "have several names: write one of a, b"),
    ],
)
def test_an_address_that_is_none_is_refused_in_a_sentence(flowledger, address, said):
    ran = flowledger("worker", "--until-empty", "--dispatcher", address)
    assert (ran.code, said in ran.err) == (2, True), ran.err


async def test_an_address_is_never_shown_with_its_password(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        _ = told_app(f"sqlite:///{tmp_path}/runs.db", "nats://user:secret@host:0").ledger
    assert "secret" not in str(caught.value)

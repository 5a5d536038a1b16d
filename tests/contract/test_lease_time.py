"""How long a lease is, is the deployment's to say: whoever was silent for as long is taken for dead, and no sooner."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from engine import App, ConfigurationError
from engine.store import tables
from engine.store.lease import time_of
from tests.databases import SHARED, ready
from tests.flows import line, noting
from tests.queues import enqueue

NOTES = line(("note", noting()), name="notes")


def app(url: str, lease_seconds: float) -> App:
    return App(workflows=[NOTES], database=url, lease_seconds=lease_seconds)


@SHARED
async def test_a_silent_worker_is_dead_after_the_lease_that_was_chosen(database_url):
    url = ready(database_url)

    def give_to_a_silent_one(connection):
        now = time_of(connection)
        silent = {"worker_id": "silent", "host": "elsewhere", "process_id": 1, "started_at": now, "beat_at": now}
        connection.execute(insert(tables.workers).values(**silent))
        connection.execute(update(tables.runs).values(worker_id="silent"))

    async with app(url, 30) as holder, app(url, 1) as brisk, app(url, 30) as patient:
        (run_id,) = await enqueue(holder, workflow="notes")
        assert [one.record.run_id for one in await holder.claim(1)] == [run_id]
        await patient.ledger.change(give_to_a_silent_one)

        async def silent_for(seconds: float) -> None:
            def work(connection):
                beat_at = time_of(connection) - timedelta(seconds=seconds)
                silent = update(tables.workers).where(tables.workers.c.worker_id == "silent")
                connection.execute(silent.values(beat_at=beat_at))

            await patient.ledger.change(work)

        await silent_for(0.2)
        assert await brisk.ledger.reap() == []
        await silent_for(5)
        assert await patient.ledger.reap() == []
        assert await brisk.ledger.reap() == [run_id]
        fence = select(tables.runs.c.fence).where(tables.runs.c.run_id == run_id)
        assert await patient.ledger.read(lambda connection: connection.scalar(fence)) == 2, "taken, and taken away"


async def test_the_environment_says_how_long_a_lease_is(monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_LEASE_SECONDS", "2.5")
    async with app("sqlite:///:memory:", 30) as found:
        assert found.ledger.lease_seconds == 2.5


@pytest.mark.parametrize("lease_seconds", ["0.2", "0", "-8", "nan", "inf", "901", "8s"])
def test_a_lease_that_no_worker_could_keep_is_refused_in_a_sentence(monkeypatch, lease_seconds):
    monkeypatch.setenv("FLOWLEDGER_LEASE_SECONDS", lease_seconds)
    with pytest.raises(ConfigurationError, match=r"lease_seconds .* is no lease: give seconds from 1 to 900"):
        app("sqlite:///:memory:", 8)

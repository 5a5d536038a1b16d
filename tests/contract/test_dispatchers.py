"""Whoever tells workers of runs: idle ones begin at once, and what is lost, doubled or late does no harm."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine import App
from engine.dispatch.in_process import InProcess
from engine.dispatch.postgres import Postgres
from engine.nodes.approve import Approve
from engine.store.database import Database
from tests.databases import ready
from tests.dispatchers import Lossy, next_of, working
from tests.flows import line, noting
from tests.queues import NOTES, enqueue, fall_silent

ASKS = line(
    ("ask", Approve(text="May this go on?", shows=["question"], into="ready")), ("after", noting()), name="asks"
)
RUNS = 30


@pytest.fixture
def place(request, tmp_path) -> dict[str, Any]:
    """Give what apps share that are told of runs in one way or another."""
    kind = request.param
    if kind in {"in process", "lossy"}:
        dispatcher = InProcess() if kind == "in process" else Lossy(InProcess(), seed=5)
        return {"database": ready(f"sqlite:///{tmp_path}/runs.db"), "dispatcher": dispatcher}
    url = request.getfixturevalue("postgres_ledger_url")
    if kind == "postgres":
        return {"database": url}
    if kind == "lossy postgres":
        arguments = Database.at(url).driver_arguments
        return {"database": url, "dispatcher": Lossy(Postgres(arguments, lambda: 0.5), seed=5)}
    return {"database": url, "dispatcher": request.getfixturevalue("nats_url")}


@pytest.fixture
async def apps(place) -> AsyncIterator[list[App]]:
    """Give three apps on one database: one that queues, and two for workers."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(App(workflows=[NOTES, ASKS], **place)) for _ in range(3)]


EACH = pytest.mark.parametrize("place", ["in process", "postgres", "nats"], indirect=True)
ANY = pytest.mark.parametrize("place", ["in process", "postgres", "nats", "lossy", "lossy postgres"], indirect=True)


@EACH
async def test_an_idle_worker_begins_a_run_as_soon_as_it_is_queued(apps, rarely_looking):
    queueing, app, _ = apps
    async with working(app) as ended:
        for _ in range(3):
            (run_id,) = await enqueue(queueing)
            assert await next_of(ended) == (run_id, "succeeded")


@EACH
async def test_a_run_that_was_answered_or_queued_again_is_begun_at_once(apps, rarely_looking):
    queueing, app, _ = apps
    async with working(app) as ended:
        (run_id,) = await enqueue(queueing, workflow="asks")
        assert await next_of(ended) == (run_id, "waiting")
        await queueing.answer(run_id)
        assert await next_of(ended) == (run_id, "succeeded")
        (refused,) = await enqueue(queueing, workflow="asks")
        assert await next_of(ended) == (refused, "waiting")
        await queueing.cancel(refused)
        await queueing.requeue(refused)
        assert await next_of(ended) == (refused, "waiting")


@EACH
async def test_runs_of_a_queue_that_opens_and_of_a_limit_that_is_raised_are_begun_at_once(apps, rarely_looking):
    queueing, app, _ = apps
    await queueing.pause("default")
    await queueing.limit("narrow", "", 0)
    paused, held = (await enqueue(queueing))[0], (await enqueue(queueing, queue="narrow"))[0]
    async with working(app, queues=["default", "narrow"]) as ended:
        await queueing.unpause("default")
        assert await next_of(ended) == (paused, "succeeded")
        await queueing.limit("narrow", "", None)
        assert await next_of(ended) == (held, "succeeded")


@EACH
async def test_a_delayed_run_is_begun_as_soon_as_it_is_due(apps, rarely_looking):
    queueing, app, _ = apps
    async with working(app) as ended:
        due = datetime.now(UTC) + timedelta(seconds=0.3)
        (run_id,) = await enqueue(queueing, at=due)
        assert await next_of(ended) == (run_id, "succeeded")
        assert (await queueing.ledger.steps(run_id))[0].started_at >= due


@EACH
async def test_what_a_dead_worker_had_is_begun_at_once_by_one_that_another_tells(apps, rarely_looking, monkeypatch):
    monkeypatch.setattr("engine.worker.beat_seconds", lambda _lease_seconds: 0.05)
    dead, reaping, app = apps
    (run_id,) = await enqueue(dead)
    (taken,) = await dead.claim(1)
    async with working(app, queues=["default"]) as ended, working(reaping, queues=["another"]):
        await fall_silent(dead, dead.ledger.worker_id)
        assert await next_of(ended) == (run_id, "succeeded")
    assert taken.record.run_id == run_id


@EACH
async def test_a_worker_that_is_full_takes_the_next_run_when_it_has_room(apps, rarely_looking):
    queueing, one, other = apps
    async with working(one, concurrency=1) as ended, working(other, ended, concurrency=1):
        run_ids = await enqueue(queueing, 9)
        assert sorted([await next_of(ended) for _ in run_ids]) == sorted((run_id, "succeeded") for run_id in run_ids)


@ANY
async def test_every_run_ends_exactly_once_whatever_becomes_of_hints(apps):
    queueing, one, other = apps
    async with working(one, concurrency=3) as ended, working(other, ended, concurrency=3):
        run_ids = [run_id for _ in range(RUNS // 3) for run_id in await enqueue(queueing, 3)]
        assert sorted([await next_of(ended) for _ in run_ids]) == sorted((run_id, "succeeded") for run_id in run_ids)
    assert ended.empty()
    for run_id in run_ids:
        assert [step.node_name for step in await queueing.ledger.steps(run_id)] == ["first", "second"]
    told = queueing.ledger.dispatcher
    assert not isinstance(told, Lossy) or min(told.dropped, told.doubled) > 3

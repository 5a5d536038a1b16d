"""Runs that were queued together have one status and one cost, end together, and are queued once, on every database."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import update

from engine import App
from engine.errors import InputError
from engine.runtime.enqueue import RunRequest
from engine.store import tables
from engine.testing import StillClock
from tests.queues import FAILS, NOTES, go_on, work

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
REQUESTS = [RunRequest({"question": f"number {number}"}) for number in range(4)]


@pytest.fixture
async def app(url):
    async with App(workflows=[NOTES, FAILS], database=url, clock=StillClock(NOON)) as opened:
        yield opened


async def test_a_batch_tells_how_its_runs_stand_what_they_cost_and_when_they_will_be_done(app):
    queued = await app.enqueue_batch("notes", REQUESTS, name="four")
    row = await app.batch("four")
    assert (row.batch, row.counts, row.left, row.eta_s) == (queued.batch, {"queued": 4}, 4, None)
    assert await go_on(app, queued.runs[0].run_id) == "succeeded"  # the other three are held
    app.clock.advance(10)
    row = await app.batch(queued.batch.batch_id[:10])
    assert (row.counts, row.ended, row.left) == ({"running": 3, "succeeded": 1}, 1, 3)
    assert (row.runs_per_s, row.eta_s) == (0.1, 30)
    priced = update(tables.runs).where(tables.runs.c.run_id == queued.runs[0].run_id).values(cost_nano_usd=3_000_000)
    await app.ledger.change(lambda connection: connection.execute(priced))
    row = await app.batch("four")
    assert (row.cost_usd, row.usd_per_succeeded, row.unpriced) == (Decimal("0.003"), Decimal("0.003"), 0)
    assert [one.batch.name for one in await app.batches()] == ["four"]
    assert len(await app.ledger.runs(batch_id=queued.batch.batch_id)) == 4


async def test_whoever_was_cut_off_asks_again_under_the_same_name_and_nothing_is_queued_twice(app):
    cut = await app.enqueue_batch("notes", REQUESTS[:2], name="four")
    again = await app.enqueue_batch("notes", [*REQUESTS, REQUESTS[0]], name="four")
    assert again.batch == cut.batch
    assert [run.run_id for run in again.runs[:2]] == [run.run_id for run in cut.runs]
    assert len({run.run_id for run in again.runs}) == 5  # what stands twice in the file is two runs
    assert (await app.batch("four")).runs == 5
    for _ in range(2):
        await app.enqueue_batch("notes", REQUESTS)
    assert [row.runs for row in await app.batches()].count(4) == 2  # without a name, each is one of its own


async def test_a_cancelled_batch_ends_and_takes_no_more_runs(app):
    queued = await app.enqueue_batch("notes", REQUESTS, name="four")
    assert await go_on(app, queued.runs[0].run_id) == "succeeded"
    (other,) = (await app.enqueue_batch("notes", REQUESTS[:1])).runs
    row = await app.cancel_batch("four", by="ann")
    asked = [run.run_id for run in await app.ledger.runs(status="running") if run.cancel_requested_at is not None]
    assert row.counts == {"running": 3, "succeeded": 1}
    assert sorted(asked) == sorted(run.run_id for run in queued.runs[1:])
    said = [(one.what, one.subject, one.by) for one in await app.control_events(what="cancel batch")]
    assert said == [("cancel batch", "four", "ann")]
    with pytest.raises(InputError, match="the batch 'four' was cancelled"):
        await app.enqueue_batch("notes", REQUESTS, name="four")
    assert (await app.ledger.run(other.run_id)).status == "queued"


async def test_what_nobody_has_begun_of_a_cancelled_batch_ends_at_once(app):
    await app.enqueue_batch("notes", REQUESTS, name="four")
    assert (await app.cancel_batch("four")).counts == {"cancelled": 4}
    assert await app.claim(10) == []
    assert await work(app) == {}


async def test_a_batch_in_which_nothing_fits_is_not_there(app):
    with pytest.raises(InputError, match="question"):
        await app.enqueue_batch("notes", [RunRequest({"questions": "why?"})], name="bad")
    assert await app.batches() == []
    with pytest.raises(InputError, match="no batch has the name or id 'bad'"):
        await app.batch("bad")
    await app.enqueue_batch("fails", REQUESTS, name="four")
    with pytest.raises(InputError, match="the batch 'four' is of the workflow 'fails'"):
        await app.enqueue_batch("notes", REQUESTS, name="four")

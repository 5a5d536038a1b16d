"""Whatever people say about runs, queues, schedules, breakers and caches is in the ledger, with what it changed."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from engine import Schedule
from engine.errors import InputError
from engine.store import tables
from tests.queues import app_on, enqueue

OPEN = {"target": "openai:big", "state": "open", "reason": "failed 5 times in a row"}


@pytest.fixture
async def app(url):
    async with app_on(url) as opened:
        yield opened


async def test_what_was_said_is_kept_with_who_said_it_and_what_it_changed(app):
    (run_id,) = await enqueue(app)
    opened = insert(tables.breakers).values(OPEN)
    await app.ledger.change(lambda connection: connection.execute(opened))
    await app.pause("default", by="ann")
    await app.unpause("default", by="ann")
    await app.limit("default", "acme", 4)
    await app.limit("default", "acme", None)
    await app.cancel(run_id, by="bob")
    await app.requeue(run_id, by="bob")
    await app.reset_breaker(by="ann")
    await app.clear_cache(workflow="notes", by="ann")
    schedule = Schedule(workflow="notes", cron="0 2 * * *", given={"question": "my secret"}, tenant="acme")
    await app.add_schedule("nightly", schedule, by="ann")
    await app.pause_schedule("nightly")
    await app.unpause_schedule("nightly")
    await app.remove_schedule("nightly", by="ann")
    said = [(one.by, one.what, one.subject, one.before, one.after) for one in reversed(await app.control_events())]
    nightly = said[8][4]
    assert said == [
        ("ann", "pause queue", "default", {"paused": False}, {"paused": True}),
        ("ann", "unpause queue", "default", {"paused": True}, {"paused": False}),
        (None, "limit lane", "default/acme", {"max_running": None}, {"max_running": 4}),
        (None, "limit lane", "default/acme", {"max_running": 4}, {"max_running": None}),
        ("bob", "cancel run", run_id, {"status": "queued"}, {"status": "cancelled"}),
        ("bob", "requeue run", run_id, {"status": "cancelled"}, {"status": "queued", "queue": "default", "lane": ""}),
        ("ann", "reset breaker", "openai:big", {"state": "open", "reason": OPEN["reason"]}, {"state": "closed"}),
        ("ann", "clear cache", "workflow notes", {"entries": 0}, {"entries": 0}),
        ("ann", "add schedule", "nightly", {}, nightly),
        (None, "pause schedule", "nightly", {"paused": False}, {"paused": True}),
        (None, "unpause schedule", "nightly", {"paused": True}, {"paused": False}),
        ("ann", "remove schedule", "nightly", nightly, {}),
    ]
    assert (nightly["cron"], nightly["zone"], nightly["tenant"]) == ("0 2 * * *", "UTC", "acme")
    assert "secret" not in str(said)


async def test_what_could_not_be_done_is_not_kept(app):
    (run_id,) = await enqueue(app)
    await app.cancel(run_id)
    with pytest.raises(InputError):
        await app.cancel(run_id)
    with pytest.raises(InputError):
        await app.remove_schedule("nothing")
    assert await app.reset_breaker() == 0
    assert [one.what for one in await app.control_events()] == ["cancel run"]


async def test_events_are_chosen_by_time_action_and_subject(app):
    await app.pause("default")
    await app.pause("slow")
    await app.unpause("slow")
    assert [one.what for one in await app.control_events(limit=1)] == ["unpause queue"]
    assert [one.subject for one in await app.control_events(what="pause queue")] == ["slow", "default"]
    assert len(await app.control_events(subject="slow")) == 2
    assert await app.control_events(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(await app.control_events(since=datetime.now(UTC) - timedelta(hours=1))) == 3

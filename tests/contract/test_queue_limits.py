"""Limits of lanes, workflows and resources hold over all workers, and nothing of them leaks, on every database."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from engine.reports.queue import lanes_of, limits_of
from engine.store.lanes import after_starts, starts_left
from engine.store.run_queue import forget_lanes, reap
from engine.store.tables import lanes, runs
from tests.databases import SHARED, ready
from tests.queues import FAILS, NOTES, app_on, claimed, enqueue, work

SOON = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def app(database_url):
    async with app_on(database_url if ":memory:" in database_url else ready(database_url), NOTES, FAILS) as opened:
        yield opened


async def test_a_workflow_with_a_limit_leaves_room_for_others(app):
    await app.limit_across("default", "workflow", "notes", 2)
    await enqueue(app, 5, tenant="acme")
    await enqueue(app, 5, tenant="zeta")
    await enqueue(app, 3, workflow="fails", tenant="acme")
    taken = [one for _ in range(4) for one in await app.claim(10)]
    assert Counter(one.record.workflow for one in taken) == {"notes": 2, "fails": 3}
    (row,) = await limits_of(app.ledger)
    assert (row.kind, row.name, row.running, row.max_running) == ("workflow", "notes", 2, 2)


async def test_a_resource_has_so_many_runs_at_once_whatever_lanes_they_are_of(app):
    await app.limit_across("default", "resource", "crm", 1)
    await enqueue(app, 2, lane="a", resource="crm")
    await enqueue(app, 2, lane="b", resource="crm")
    free = await enqueue(app, 1, lane="b")
    first = await claimed(app)
    assert len(first) == 2
    assert set(free) < set(first)
    assert await claimed(app) == []
    await app.limit_across("default", "resource", "crm", None)
    assert len(await claimed(app)) == 3


async def test_what_a_limit_held_back_is_worked_on_in_the_end(app):
    await app.limit("default", "acme", 1)
    await app.limit_across("default", "workflow", "notes", 2)
    await app.limit_across("default", "resource", "crm", 1)
    for number in range(6):
        await enqueue(app, 1, lane=("acme", "zeta")[number % 2], resource=(None, "crm")[number % 3 == 0])
    assert await work(app) == {"succeeded": 6}
    assert [row.running for row in await limits_of(app.ledger)] == [0, 0]


async def test_a_lane_at_its_limit_does_not_hold_up_others_that_wait_longer_for_their_turn(app):
    await enqueue(app, 5, lane="full")
    await app.limit("default", "full", 1)
    assert len(await claimed(app)) == 1
    (other,) = await enqueue(app, lane="zeta")
    assert await claimed(app, 1) == [other]


async def test_a_lane_with_a_rate_gives_so_many_runs_and_then_waits(app):
    await enqueue(app, 20, lane="acme")
    await enqueue(app, 1, lane="zeta")
    await app.limit_rate("default", "acme", 5 / 3600)
    assert len(await claimed(app, 20)) == 2
    assert await claimed(app, 20) == []
    earlier = update(lanes).where(lanes.c.lane == "acme").values(next_start_at=datetime.now(UTC) - timedelta(hours=1))
    await app.ledger.change(lambda connection: connection.execute(earlier))
    assert len(await claimed(app, 20)) == 1
    await app.limit_rate("default", "acme", 4.0)
    assert len(await claimed(app, 20)) == 4
    await app.limit_rate("default", "acme", None)
    assert [len(await claimed(app, 20)) for _ in range(4)] == [4, 4, 4, 2]
    assert {lane.lane: lane.starts_per_second for lane in await lanes_of(app.ledger)} == {"acme": None, "zeta": None}


@SHARED
async def test_workers_together_keep_limits_and_one_that_dies_leaves_no_count_behind(database_url):
    url = ready(database_url)
    async with app_on(url) as alive, app_on(url) as dead:
        await enqueue(alive, 9, lane="acme", resource="crm")
        await alive.limit("default", "acme", 3)
        await alive.limit_across("default", "resource", "crm", 3)
        await alive.limit_across("default", "workflow", "notes", 4)
        assert len(await claimed(dead, 2)) == 2
        assert len(await claimed(alive, 9)) == 1
        assert await claimed(dead, 9) == []
        theirs = update(runs).where(runs.c.worker_id == dead.ledger.worker_id).values(worker_id="gone")
        await alive.ledger.change(lambda connection: connection.execute(theirs))
        assert len(await alive.ledger.change(reap)) == 2
        assert [row.running for row in await limits_of(alive.ledger)] == [1, 1]
        assert len(await claimed(alive, 9)) == 2
        assert await claimed(alive, 9) == []


async def test_lanes_that_nobody_uses_are_forgotten_and_those_with_limits_are_not(app):
    await enqueue(app, lane="used")
    await enqueue(app, lane="over")
    await app.limit("default", "kept", 3)
    await app.limit_rate("default", "slow", 2.0)
    await claimed(app, 1)
    later = datetime.now(UTC) + timedelta(hours=1)
    await app.ledger.change(lambda connection: forget_lanes(connection, later))
    assert {lane.lane for lane in await lanes_of(app.ledger)} == {"used", "over", "kept", "slow"}
    fresh = await enqueue(app, lane="new")
    await app.cancel(fresh[0])
    await app.ledger.change(lambda connection: forget_lanes(connection, later))
    await enqueue(app, lane="new")
    assert len(await claimed(app)) == 2


@given(
    st.floats(0.01, 50),
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 60)), min_size=1, max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_in_no_span_of_time_begin_more_runs_than_its_rate_and_a_second_more(per_second, asked):
    begun: list[tuple[datetime, int]] = []
    now, next_start_at = SOON, None
    for wait, wanted in asked:
        now += timedelta(seconds=wait)
        number = min(starts_left(per_second, next_start_at, now), wanted)
        if number:
            next_start_at = after_starts(per_second, next_start_at, now, number)
            begun.append((now, number))
    most = max(per_second, 1)
    for first, (start, _) in enumerate(begun):
        for end, _ in begun[first:]:
            inside = sum(number for at, number in begun if start <= at <= end)
            assert inside <= most + (end - start).total_seconds() * per_second + 1e-3
    assert starts_left(per_second, next_start_at, now + timedelta(days=1)) == max(int(per_second), 1)

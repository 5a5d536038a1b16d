"""Queued runs are taken once, in turn, by who has their version, on every database."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import ConfigurationError, InputError, LeaseLost, RunBusy
from engine.reports.queue import lanes_of
from engine.runtime.enqueue import RunRequest
from engine.store.run_queue import MOST_DEATHS, reap
from tests.databases import SHARED, ready
from tests.flows import Ask, line, noting
from tests.queues import NOTES, app_on, claimed, enqueue, fall_silent, go_on, statuses, work


@pytest.fixture
async def app(database_url):
    async with app_on(database_url if ":memory:" in database_url else ready(database_url)) as opened:
        yield opened


async def test_a_queued_run_is_worked_on_to_its_end_and_leaves_the_queue(app):
    run_ids = await enqueue(app, 3, tenant="acme")
    assert await statuses(app, run_ids) == ["queued"] * 3
    (lane,) = await lanes_of(app.ledger)
    assert (lane.queue, lane.lane, lane.due, lane.running) == ("default", "acme", 3, 0)
    assert await work(app) == {"succeeded": 3}
    assert await statuses(app, run_ids) == ["succeeded"] * 3
    assert await lanes_of(app.ledger) == []
    steps = await app.ledger.steps(run_ids[0])
    assert [step.node_name for step in steps] == ["first", "second"]


async def test_lanes_take_turns_however_long_they_are(app):
    await enqueue(app, 50, lane="long")
    await enqueue(app, 3, lane="short")
    first = await app.claim(4)
    assert len(first) == 4
    (long, short) = sorted(await lanes_of(app.ledger), key=lambda lane: lane.lane)
    assert (long.running, short.running) == (2, 2)


async def test_the_turn_goes_to_the_lane_that_has_waited_longest(app):
    for lane in ("a", "b", "c"):
        await enqueue(app, 2, lane=lane)
    turns = []
    for _ in range(6):
        (taken,) = await app.claim(1)
        before = {lane.lane: lane.running for lane in await lanes_of(app.ledger)}
        turns.append((taken.record.run_id, before))
    assert [sum(after.values()) for _, after in turns] == [1, 2, 3, 4, 5, 6]
    assert turns[2][1] == {"a": 1, "b": 1, "c": 1}


async def test_places_that_are_spared_go_to_lanes_that_have_none_and_one_to_each(app):
    await enqueue(app, 20, lane="flood")
    short = [*await enqueue(app, 2, lane="a"), *await enqueue(app, 2, lane="b")]
    flood = {"busy": [("default", "flood")], "spare": 3}
    assert sorted(await claimed(app, 3, **flood)) == sorted([short[0], short[2]])
    assert sorted(await claimed(app, 1, **flood)) == [short[1]]
    assert len(await claimed(app, 5, **flood)) == 2
    assert await claimed(app, 3, **flood) == []


async def test_a_lane_beside_others_gives_few_at_once_so_that_theirs_need_not_wait_for_all_to_begin(app):
    flood = await enqueue(app, 20, lane="flood")
    assert len(await claimed(app, 20)) == 20
    await enqueue(app, 20, lane="flood")
    await enqueue(app, 1, lane="small")
    again = [await claimed(app, 20) for _ in range(4)]
    assert [len(taken) for taken in again] == [5, 4, 4, 4]
    assert not set(flood) & {run_id for taken in again for run_id in taken}


async def test_a_lane_without_others_has_every_place(app):
    await enqueue(app, 20, lane="flood")
    assert len(await claimed(app, 8, spare=2)) == 8
    assert len(await claimed(app, 2, spare=2, busy=[("default", "flood")])) == 2


async def test_what_matters_more_is_taken_first_and_then_what_came_first(app):
    plain = await enqueue(app, 2)
    urgent = await enqueue(app, 1, priority=5)
    assert await claimed(app, 3) == [*urgent, *plain]


async def test_a_delayed_run_is_not_taken_before_its_time(app):
    later = await enqueue(app, at=datetime.now(UTC) + timedelta(hours=1))
    assert await claimed(app) == []
    (lane,) = await lanes_of(app.ledger)
    assert (lane.due, lane.delayed) == (0, 1)
    past = await enqueue(app, at=datetime.now(UTC) - timedelta(hours=1))
    assert await claimed(app) == past
    assert await statuses(app, later) == ["queued"]


async def test_a_lane_with_a_limit_has_no_more_runs_at_work_than_that(app):
    await enqueue(app, 5, lane="acme")
    await app.limit("default", "acme", 2)
    assert len(await app.claim(10)) == 2
    assert await app.claim(10) == []
    await app.limit("default", "acme", 3)
    assert len(await app.claim(10)) == 1


async def test_a_paused_queue_gives_nothing_until_it_goes_on(app):
    await enqueue(app)
    await app.pause("default")
    assert await app.claim(10) == []
    assert (await lanes_of(app.ledger))[0].paused
    await app.unpause("default")
    assert len(await app.claim(10)) == 1


async def test_a_worker_takes_from_its_queues_only(app):
    await enqueue(app, queue="slow")
    assert await app.claim(10) == []
    assert len(await app.claim(10, ["default", "slow"])) == 1


async def test_the_same_key_is_the_same_run_for_each_tenant(app):
    (first,) = await enqueue(app, key="request-7", tenant="acme")
    assert await enqueue(app, key="request-7", tenant="acme") == [first]
    (other,) = await enqueue(app, key="request-7", tenant="other")
    assert other != first
    await work(app)
    assert await enqueue(app, key="request-7", tenant="acme") == [first]
    twice = await app.enqueue_all("notes", [RunRequest({"question": "why?"}, key="twice")] * 2)
    assert twice[0].run_id == twice[1].run_id


async def test_an_input_that_does_not_fit_queues_nothing(app):
    with pytest.raises(InputError, match="question"):
        await app.enqueue_all("notes", [RunRequest({"question": "why?"}), RunRequest({"questions": "why?"})])
    assert await app.ledger.runs() == []


async def test_a_queued_run_is_cancelled_where_it_stands(app):
    (run_id,) = await enqueue(app)
    await app.cancel(run_id)
    assert await statuses(app, [run_id]) == ["cancelled"]
    assert await app.claim(10) == []


async def test_a_cancelled_run_can_be_queued_again_and_a_finished_one_cannot(app):
    (run_id,) = await enqueue(app)
    with pytest.raises(RunBusy, match="is queued already"):
        await app.requeue(run_id)
    await app.cancel(run_id)
    await app.requeue(run_id)
    assert await go_on(app, run_id) == "succeeded"
    with pytest.raises(InputError, match="is succeeded: there is nothing left to do"):
        await app.requeue(run_id)


async def test_a_queued_run_that_somebody_resumes_by_hand_is_not_taken_by_a_worker(app):
    (run_id,) = await enqueue(app)
    assert (await app.resume(run_id)).status == "succeeded"
    assert await app.claim(10) == []
    assert await lanes_of(app.ledger) == []


@SHARED
async def test_two_workers_never_take_the_same_run(database_url):
    url = ready(database_url)
    async with app_on(url) as one, app_on(url) as other:
        run_ids = await enqueue(one, 20)
        taken = []
        while fresh := await claimed(one, 3) + await claimed(other, 3):
            taken += fresh
        assert sorted(taken) == sorted(run_ids)


@SHARED
async def test_a_run_is_left_for_a_worker_that_has_its_version(database_url):
    url = ready(database_url)
    newer = line(("first", noting()), name="notes", state=Ask)
    async with app_on(url) as old, app_on(url, newer) as new:
        (before,), (after,) = await enqueue(old), await enqueue(new)
        assert await claimed(new) == [after]
        assert await claimed(old) == [before]
        assert NOTES.version != newer.version


@SHARED
async def test_the_runs_of_a_dead_worker_go_on_elsewhere_and_it_writes_nothing_more(database_url):
    url = ready(database_url)
    async with app_on(url) as dead, app_on(url) as alive:
        (run_id,) = await enqueue(alive)
        (taken,) = await dead.claim(1)
        await fall_silent(alive, dead.ledger.worker_id)
        assert await alive.ledger.change(reap) == [run_id]
        assert await go_on(alive, run_id) == "succeeded"
        with pytest.raises(LeaseLost):
            await dead.go_on(taken)
        record = await alive.ledger.run(run_id)
        assert (record.status, record.steps) == ("succeeded", 2)


@SHARED
async def test_the_run_of_a_dead_worker_keeps_its_place(database_url):
    url = ready(database_url)
    async with app_on(url) as dead, app_on(url) as alive:
        first, second = [(await enqueue(alive))[0] for _ in range(2)]
        assert await claimed(dead, 1) == [first]
        await fall_silent(alive, dead.ledger.worker_id)
        assert await alive.ledger.reap() == [first]
        assert await claimed(alive, 1) == [first]
        assert await claimed(alive, 1) == [second]


@SHARED
async def test_a_run_with_which_several_processes_died_is_left_alone(database_url):
    url = ready(database_url)
    async with app_on(url) as alive:
        (run_id,) = await enqueue(alive)
        for _ in range(MOST_DEATHS):
            assert await statuses(alive, [run_id]) == ["queued"]
            async with app_on(url) as dead:
                await dead.claim(1)
                await fall_silent(alive, dead.ledger.worker_id)
                assert await alive.ledger.change(reap) == [run_id]
        record = await alive.ledger.run(run_id)
        assert record.status == "dead"
        assert f"flowledger requeue {run_id}" in record.error_message
        await alive.requeue(run_id)
        assert await go_on(alive, run_id) == "succeeded"


async def test_a_run_that_cannot_be_begun_here_is_given_back(app):
    (run_id,) = await enqueue(app)
    (taken,) = await app.claim(1)
    taken.record.version = taken.record.workflow = "another"
    with pytest.raises(ConfigurationError, match="there is no workflow 'another'"):
        await app.go_on(taken)
    while not await app.ledger.change(reap):
        await app.ledger.commit()  # the lease lets go of it with its next beat
    assert await go_on(app, run_id) == "succeeded"

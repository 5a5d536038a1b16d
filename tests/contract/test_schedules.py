"""Schedules queue one run a tick, over all workers, whatever clocks do and whoever dies, on every database."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from engine import App, Schedule
from engine.errors import InputError
from engine.store import schedules, tables
from engine.testing import StillClock
from tests.databases import SHARED, ready
from tests.queues import NOTES, app_on, go_on, work

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def hourly(**fields) -> Schedule:
    return Schedule(**{"workflow": "notes", "cron": "0 * * * *", "given": {"question": "why?"}} | fields)


@pytest.fixture
async def app(database_url):
    url = database_url if ":memory:" in database_url else ready(database_url)
    async with App(workflows=[NOTES], database=url, clock=StillClock(NOON)) as opened:
        yield opened


@SHARED
@pytest.mark.parametrize(
    ("night", "hours", "fixed"),  # from 23:00 to 04:00
    [
        (datetime(2025, 3, 29, 22, tzinfo=UTC), 4, "03:00 +0200"),
        (datetime(2025, 10, 25, 21, tzinfo=UTC), 6, "02:30 +0200"),
    ],
    ids=["spring", "autumn"],
)
async def test_two_workers_queue_each_tick_once_through_a_clock_change(database_url, night, hours, fixed):
    url = ready(database_url)
    apps = [App(workflows=[NOTES], database=url, clock=StillClock(night)) for _ in range(2)]
    for name, cron in (("fixed", "30 2 * * *"), ("even", "*/30 * * * *")):
        await apps[0].add_schedule(name, hourly(cron=cron, zone="Europe/Berlin"))
    queued: Counter[str] = Counter()
    ticks: list[datetime] = []
    for at in (night + timedelta(minutes=30 * number) for number in range(1, 2 * hours + 1)):
        for made in await asyncio.gather(*(app.fire_schedules(at) for app in apps)):
            queued.update(run.run_id for run in made)
            ticks += [at for run in made if run.schedule == "fixed"]
    runs = Counter(run.schedule for run in await apps[1].ledger.runs(limit=100))
    assert runs == {"fixed": 1, "even": 2 * hours}
    assert max(queued.values()) == 1
    assert [f"{tick.astimezone(ZoneInfo('Europe/Berlin')):%H:%M %z}" for tick in ticks] == [fixed]
    for app in apps:
        await app.close()


@SHARED
async def test_two_workers_see_to_schedules_by_the_clock_of_the_database(database_url):
    url = ready(database_url)
    async with app_on(url) as one, app_on(url) as other:
        begin = datetime.now(UTC) - timedelta(minutes=30)
        await one.add_schedule("past", hourly(cron="* * * * *", start=begin, catch_up="all", most=5))
        await one.add_schedule("to come", hourly(cron="0 0 1 1 *"))
        ended = [Counter(ended) for ended in await asyncio.gather(work(one), work(other))]
        minutes = (datetime.now(UTC) - begin).seconds // 60
        assert 5 <= sum(ended, Counter())["succeeded"] <= 5 + minutes - 29
        runs = await one.ledger.runs()
        assert {(run.schedule, run.origin) for run in runs} == {("past", "schedule")}
        found = await one.schedule("past")
        assert found.next_at > datetime.now(UTC) - timedelta(minutes=1)
        assert found.run_id in {run.run_id for run in runs}


@SHARED
async def test_what_a_dead_worker_was_about_to_queue_is_queued_once_by_another(database_url):
    url = ready(database_url)
    async with app_on(url) as dead, app_on(url) as alive:
        await dead.add_schedule("hourly", hourly(start=NOON))
        due, _ = await dead.ledger.change(lambda connection: schedules.claim_due(connection, ["notes"], NOON))
        assert [schedule.name for schedule in due] == ["hourly"]
        assert await alive.fire_schedules(NOON + timedelta(seconds=29)) == []
        (run,) = await alive.fire_schedules(NOON + timedelta(seconds=30))
        stands = (await alive.schedule("hourly")).next_at
        assert stands == NOON + timedelta(hours=1)
        unwritten = update(tables.schedules).values(next_at=NOON, claimed_until=None)  # it had queued the run
        await alive.ledger.change(lambda connection: connection.execute(unwritten))
        assert [again.run_id for again in await dead.fire_schedules(NOON)] == [run.run_id]
        assert len(await alive.ledger.runs()) == 1
        assert (await alive.schedule("hourly")).next_at == stands


async def test_a_tick_passes_while_the_run_before_has_not_ended_if_the_schedule_says_so(app):
    await app.add_schedule("hourly", hourly(overlap="skip", start=NOON))
    (first,) = await app.fire_schedules(NOON)
    assert await app.fire_schedules(NOON + timedelta(hours=1)) == []
    trouble = (await app.schedule("hourly")).trouble
    assert trouble == f"the run {first.run_id} of the tick before has not ended"
    assert await go_on(app, first.run_id) == "succeeded"
    (second,) = await app.fire_schedules(NOON + timedelta(hours=2))
    assert second.run_id != first.run_id
    assert (await app.schedule("hourly")).trouble is None


async def test_a_paused_schedule_queues_nothing_and_goes_on_with_what_is_yet_to_come(app):
    await app.add_schedule("hourly", hourly(catch_up="all"))
    await app.pause_schedule("hourly")
    app.clock.advance(3 * 3600)
    assert await app.fire_schedules(app.clock.now()) == []
    await app.unpause_schedule("hourly")
    assert await app.fire_schedules(app.clock.now()) == []
    assert (await app.schedule("hourly")).next_at == NOON + timedelta(hours=4)
    await app.remove_schedule("hourly")
    assert await app.schedules() == []
    with pytest.raises(InputError, match="there is no schedule 'hourly'"):
        await app.pause_schedule("hourly")


async def test_two_schedules_cannot_have_one_name(app):
    await app.add_schedule("hourly", hourly())
    with pytest.raises(InputError, match="there is a schedule 'hourly' already"):
        await app.add_schedule("hourly", hourly())

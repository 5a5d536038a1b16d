"""Workers that are gone are deleted, and never one that lives or whose run is running."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from engine.errors import RunBusy
from engine.outbox import Outbox
from engine.records import RunStatus
from engine.store import tables
from engine.store.ended_runs import Scope
from engine.store.ledger import SqlLedger
from engine.store.retention import plan, prune
from tests.databases import SHARED
from tests.open_runs import NOW, admitted, let_the_leases_lapse, nobody_cancels, run, taken

pytestmark = SHARED

DAY = 24 * 3600
EVER = Scope(datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def beats_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have leases that lapsed in the database alone renewed at once, as those that lapsed with time are."""
    monkeypatch.setattr("engine.store.lease.beat_seconds", lambda _lease_seconds: 0)
    monkeypatch.setattr("engine.store.lease._LOOK_SECONDS", 0)


def month() -> Scope:
    return Scope(datetime.now(UTC) - timedelta(days=30))


async def end(ledger: SqlLedger, number: int = 1) -> None:
    await ledger.finish(run(number, status=RunStatus.SUCCEEDED, ended_at=NOW), Outbox(run(number).run_id))
    await ledger.commit()  # what it lets go of is written before


async def workers(ledger: SqlLedger) -> list[str]:
    return await ledger.read(lambda connection: [*connection.scalars(select(tables.workers.c.worker_id))])


async def test_workers_that_were_not_heard_of_for_long_go_and_the_others_stay(open_ledger, execute, url):
    old, new = open_ledger(), open_ledger()
    await admitted(old, 1)
    await end(old, 1)
    await old.close()
    let_the_leases_lapse(execute, url, 31 * DAY)
    await admitted(new, 2)
    await end(new, 2)
    assert len(await workers(new)) == 2
    planned = await plan(new, month())
    assert planned["workers"].rows == 1
    assert (await prune(new, month())).amounts == planned
    assert await workers(new) == [new.worker_id]
    assert (await new.run(run(1).run_id)).worker_id == old.worker_id, "the run says still who had it"


async def test_a_worker_whose_run_is_running_stays_however_old_until_another_takes_the_run(open_ledger, execute, url):
    lost, new = open_ledger(), open_ledger()
    await admitted(lost)
    await lost.close()
    let_the_leases_lapse(execute, url, 400 * DAY)
    assert (await plan(new, EVER))["workers"].rows == (await prune(new, EVER)).amounts["workers"].rows == 0
    assert await workers(new) == [lost.worker_id]
    await taken(new)
    assert (await prune(new, EVER)).amounts["workers"].rows == 1
    assert await workers(new) == [new.worker_id]


@pytest.mark.parametrize(("minutes", "left"), [(0, 1), (59, 1), (61, 0)])
async def test_a_worker_that_was_heard_of_within_the_hour_stays_whatever_is_asked_for(
    open_ledger, execute, url, minutes, left
):
    old, new = open_ledger(), open_ledger()
    await admitted(old)
    await end(old)
    await old.close()
    let_the_leases_lapse(execute, url, minutes * 60)
    await prune(new, EVER)
    assert len(await workers(new)) == left


async def test_a_worker_that_had_nothing_to_do_for_long_is_there_again_with_its_next_run(
    open_ledger, execute, url, beats_always
):
    idle, other = open_ledger(), open_ledger()
    await admitted(idle, 1)
    await end(idle, 1)
    let_the_leases_lapse(execute, url, 31 * DAY)
    await prune(other, month())
    assert await workers(other) == []
    await admitted(idle, 2)
    assert await workers(other) == [idle.worker_id]


async def test_who_begins_a_run_while_another_prunes_keeps_it(open_ledger, execute, url, beats_always):
    idle, other = open_ledger(), open_ledger()
    for number in range(10):
        await admitted(idle, number)
        await end(idle, number)
        let_the_leases_lapse(execute, url, 31 * DAY)
        await asyncio.gather(prune(other, month()), admitted(idle, 100 + number))
        assert await workers(other) == [idle.worker_id]
        with pytest.raises(RunBusy):
            await other.take(run(100 + number).run_id, NOW, nobody_cancels)
        await end(idle, 100 + number)

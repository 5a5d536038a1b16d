"""Who has a run writes it, nobody else does: fences, leases and hand-overs, among several processes."""

import asyncio
import sys
import threading
from asyncio.subprocess import PIPE
from typing import Any

import pytest

from engine.app import App
from engine.crash_points import listen
from engine.errors import LeaseLost, RunBusy, StoreError
from engine.outbox import Outbox
from engine.records import RunStatus, VerdictRecord
from tests.databases import SHARED
from tests.flows import QUESTION, app_for, ask
from tests.open_runs import NOW, Waiting, admitted, call, let_the_leases_lapse, nobody_cancels, run, taken

pytestmark = SHARED

ADMITTING = """
import asyncio, sys
from datetime import UTC, datetime
from engine.outbox import Outbox
from engine.records import RunRecord
from engine.store.database import Database
from engine.store.ledger import SqlLedger

async def main(url, run_id):
    ledger = SqlLedger(Database.open(url))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    run = RunRecord(
        run_id=run_id,
        workflow="ask",
        version="v",
        status="running",
        started_at=now,
        claimed_at=now,
        input_payload="{}",
    )
    await ledger.admit(run, Outbox(run_id), lambda: None)
    print("has it", flush=True)
    await asyncio.to_thread(sys.stdin.read)

asyncio.run(main(*sys.argv[1:]))
"""


def said_by(owner: int) -> VerdictRecord:
    return VerdictRecord(run_id=run().run_id, guardrail=str(owner), stage="s", action="flag", reason="", created_at=NOW)


async def test_of_a_batch_only_what_belongs_to_a_run_that_was_taken_is_refused(open_ledger):
    old, new = open_ledger(), open_ledger()
    first, second = await admitted(old, 1), await admitted(old, 2)
    await taken(new, force=True)
    let_go = threading.Event()
    busy = asyncio.create_task(old.change(lambda _: let_go.wait(10)))  # so that what follows is one batch
    first.add([call("a" * 16, 1)])
    second.add([call("b" * 16, 2)])
    writing = asyncio.gather(old.write(first), old.write(second), return_exceptions=True)
    await asyncio.sleep(0)
    let_go.set()
    await busy
    refused, written = await writing
    assert isinstance(refused, LeaseLost)
    assert written is None
    assert [await new.calls(run(1).run_id), [one.call_id for one in await new.calls(run(2).run_id)]] == [[], ["b" * 16]]


async def test_the_end_of_a_run_that_was_taken_is_refused_and_the_run_goes_on_elsewhere(open_ledger):
    old, new = open_ledger(), open_ledger()
    outbox = await admitted(old)
    its = await taken(new, force=True)
    with pytest.raises(LeaseLost, match="has gone to another process: nothing more of it is written here"):
        await old.finish(run(status=RunStatus.FAILED, error_type="NodeFailed"), outbox)
    found = await new.run(run().run_id)
    assert (found.status, found.worker_id, found.fence, found.error_type) == ("running", new.worker_id, its.fence, None)
    await new.finish(run(status=RunStatus.SUCCEEDED), its)
    assert (await old.run(run().run_id)).status == "succeeded"


async def test_thirty_hand_overs_under_a_writing_owner_mix_no_rows(open_ledger):
    ledgers = [open_ledger(), open_ledger()]
    outbox = await admitted(ledgers[0])

    async def write_until_it_is_lost(owner: int, outbox: Outbox) -> int:
        written = 0
        while True:
            outbox.add([said_by(owner)])
            try:
                await ledgers[owner % 2].write(outbox)
            except LeaseLost:
                return written
            written += 1

    owners = [asyncio.create_task(write_until_it_is_lost(0, outbox))]
    for owner in range(1, 31):
        outbox = await taken(ledgers[owner % 2], force=True)
        outbox.add([said_by(owner)])
        await ledgers[owner % 2].write(outbox)
        owners.append(asyncio.create_task(write_until_it_is_lost(owner, outbox)))
    await taken(ledgers[0], force=True)
    written = [1 + await owner - (number == 0) for number, owner in enumerate(owners)]
    found = [int(verdict.guardrail) for verdict in await ledgers[0].verdicts(run().run_id)]
    assert found == [owner for owner, rows in enumerate(written) for _ in range(rows)]


async def test_a_run_that_is_taken_over_finishes_there_once_and_its_old_process_adds_nothing(url):
    slow, fast = Waiting(script=["bad"]), Waiting(script=["good enough"])
    fast.let_answer()
    async with (
        app_for(ask(), database=url, large=slow) as old,
        app_for(ask(), database=url, large=fast) as new,
    ):
        new.keep_checkpoints = "all"
        running = asyncio.create_task(old.run("ask", QUESTION, run_id=run().run_id))
        await slow.is_asked()
        with pytest.raises(RunBusy, match="is running in another process"):
            await new.resume(run().run_id)
        result = await new.resume(run().run_id, take_over=True)
        seen = await everything_of(new)
        slow.let_answer()
        with pytest.raises(LeaseLost):
            await running
        assert await everything_of(new) == seen
        assert (result.status, result.output["answer"]) == ("succeeded", "good enough")
        assert [step.node_name for step in await new.ledger.steps(run().run_id)] == ["find", "draft", "check"]


async def everything_of(app: App) -> list[Any]:
    ledger, run_id = app.ledger, run().run_id
    checkpoints = [one.config async for one in ledger.checkpoints.alist({"configurable": {"thread_id": run_id}})]
    return [await ledger.run(run_id), await ledger.steps(run_id), await ledger.calls(run_id), checkpoints]


async def test_a_living_process_keeps_its_runs_and_one_that_was_killed_has_none(open_ledger, url):
    command = [sys.executable, "-c", ADMITTING, url, run().run_id]
    other = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        assert await other.stdout.readline() == b"has it\n"
        with pytest.raises(RunBusy, match=f"wait for it, or `flowledger cancel {run().run_id}`"):
            await taken(open_ledger())
    finally:
        other.kill()
        await other.communicate()
    assert (await taken(open_ledger())).fence == 2


async def test_a_process_that_has_not_beaten_for_long_has_no_runs(open_ledger, execute, url):
    old = open_ledger()
    await admitted(old)
    await old.close()  # its run is open, and it beats no more
    new = open_ledger()
    with pytest.raises(RunBusy):
        await taken(new)
    let_the_leases_lapse(execute, url)
    assert (await taken(new)).fence == 2


async def test_a_run_that_has_just_begun_has_a_living_process(open_ledger, execute):
    old, new = open_ledger(), open_ledger()
    for number in range(1, 6):
        execute("DELETE FROM workers")
        await admitted(old, number)
        with pytest.raises(RunBusy):
            await new.take(run(number).run_id, NOW, nobody_cancels)
        await old.finish(run(number, status=RunStatus.SUCCEEDED), Outbox(run(number).run_id))
        await old.close()
        old = open_ledger()


async def test_a_run_whose_end_could_not_be_written_is_taken_again_by_the_same_process(open_ledger):
    ledger = open_ledger()
    outbox = await admitted(ledger)

    def refuse(point: str, *_: Any) -> None:
        if point == "before commit":
            raise OSError("no commit")

    stop = listen(refuse)
    with pytest.raises(StoreError, match="no commit"):
        await ledger.finish(run(status=RunStatus.FAILED), outbox)
    with pytest.raises(StoreError, match="no commit"):
        await taken(ledger)
    stop()
    assert (await taken(ledger)).fence == 2
    with pytest.raises(RunBusy):
        await taken(ledger)


async def test_of_several_that_take_a_run_at_once_one_gets_it(open_ledger, execute, url):
    lost = open_ledger()
    for number in range(10):
        await admitted(lost, number)
    await lost.close()
    let_the_leases_lapse(execute, url)
    ledgers = [open_ledger(), open_ledger()]
    for number in range(10):
        tries = [ledger.take(run(number).run_id, NOW, nobody_cancels) for ledger in (*ledgers, *ledgers)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        assert sorted(type(one).__name__ for one in results) == ["RunBusy", "RunBusy", "RunBusy", "Taken"]
        assert (await ledgers[0].run(run(number).run_id)).fence == 2

"""Who has a run writes it, nobody else does: hand-overs, leases, cancelling and settling, among several processes."""

import asyncio
import sys
import threading
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from pydantic import PrivateAttr
from sqlalchemy import text

from engine.app import App
from engine.crash_points import listen
from engine.errors import InputError, LeaseLost, RunBusy, StoreError
from engine.outbox import Outbox
from engine.payloads import pack
from engine.records import CallRecord, OutcomeRecord, RunRecord, RunStatus, VerdictRecord
from engine.runtime.result import RunResult
from engine.store.database import Database
from engine.store.ledger import SqlLedger
from engine.testing import ScriptedModel
from tests.flows import app_for, ask

pytestmark = pytest.mark.parametrize(  # a database in memory belongs to one ledger
    "database_url", ["sqlite file", "postgresql"], indirect=True
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUESTION = {"question": "How long do refunds take?"}

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


class Waiting(ScriptedModel):
    """A model that answers when it is told to; until then it says that it was asked."""

    _is_asked: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)
    _may_answer: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    async def is_asked(self) -> None:
        async with asyncio.timeout(10):
            await self._is_asked.wait()

    def let_answer(self) -> None:
        self._may_answer.set()

    async def _agenerate(self, *given: Any, **options: Any) -> Any:
        self._is_asked.set()
        await self._may_answer.wait()
        return await super()._agenerate(*given, **options)


@pytest.fixture
def url(database_url: str) -> str:
    """Give the address of a database that is ready."""
    Database.open(database_url, migrate=True).close()
    return database_url


@pytest.fixture
async def open_ledger(url: str) -> AsyncIterator[Callable[[], SqlLedger]]:
    """Open ledgers on one database, each as a process of its own would."""
    opened: list[SqlLedger] = []

    def open_one() -> SqlLedger:
        opened.append(SqlLedger(Database.open(url)))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()


@pytest.fixture
def execute(url: str) -> Iterator[Callable[[str], Any]]:
    """Execute a statement, as a person at the database would."""
    database = Database.open(url)

    def do(statement: str) -> Any:
        with database.engine.begin() as connection:
            return connection.execute(text(statement))

    yield do
    database.close()


def run(number: int = 1, **fields: Any) -> RunRecord:
    given = {"run_id": f"{number:032x}", "workflow": "ask", "version": "v1", "started_at": NOW, "claimed_at": NOW}
    return RunRecord(**({"status": RunStatus.RUNNING, "input_payload": "{}"} | given | fields))


def call(call_id: str, number: int = 1, **fields: Any) -> CallRecord:
    given = {"step_id": "s", "node_name": "ticket", "ordinal": 1, "attempt": 1, "operation_name": "execute_tool"}
    given |= {"call_id": call_id, "run_id": run(number).run_id, "target": "t", "started_at": NOW, "request_hash": "h"}
    return CallRecord(**(given | fields))


def said_by(owner: int) -> VerdictRecord:
    return VerdictRecord(run_id=run().run_id, guardrail=str(owner), stage="s", action="flag", reason="", created_at=NOW)


def nobody_cancels() -> None: ...


async def admitted(ledger: SqlLedger, number: int = 1) -> Outbox:
    outbox = Outbox(run(number).run_id)
    await ledger.admit(run(number), outbox, nobody_cancels)
    return outbox


async def taken(ledger: SqlLedger, *, force: bool = False) -> Outbox:
    took = await ledger.take(run().run_id, NOW, nobody_cancels, force=force)
    return Outbox(run().run_id, fence=took.record.fence)


def let_the_leases_lapse(execute: Callable[[str], Any], url: str) -> None:
    sqlite, postgresql = "strftime('%Y-%m-%d %H:%M:%f000', 'now', '-11 seconds')", "clock_timestamp() - interval '11 s'"
    execute(f"UPDATE workers SET beat_at = {sqlite if url.startswith('sqlite') else postgresql}")


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


async def test_a_run_is_cancelled_from_another_process_and_what_was_cut_is_recorded(url):
    model = Waiting(script=["good"])
    async with app_for(ask(), database=url, large=model) as app, app_for(ask(), database=url, large=model) as other:
        running = asyncio.create_task(app.run("ask", QUESTION, run_id=run().run_id))
        await model.is_asked()
        ended, result = await asyncio.wait_for(asyncio.gather(other.cancel(run().run_id), running), 3)
        assert isinstance(result, RunResult)
        assert (ended.status, result.status, result.error.type) == ("cancelled", "cancelled", "Cancelled")
        steps, calls = await other.ledger.steps(run().run_id), await other.ledger.calls(run().run_id)
        assert [(step.node_name, step.status) for step in steps] == [("find", "ok"), ("draft", "cancelled")]
        assert [(one.node_name, one.status) for one in calls] == [("find", "ok"), ("draft", "cancelled")]
        model.let_answer()
        assert (await other.resume(run().run_id)).status == "succeeded"


async def test_a_run_is_told_once_of_each_request_for_its_end(open_ledger):
    ledger, other = open_ledger(), open_ledger()
    heard: list[int] = []
    anything = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hear(number: int) -> None:
        heard.append(number)
        loop.call_soon_threadsafe(anything.set)

    for number in range(3):
        await ledger.admit(run(number), Outbox(run(number).run_id), partial(hear, number))
    for times, number in enumerate((0, 1, 2, 0)):
        await other.cancel(run(number).run_id, NOW.replace(second=times))
        async with asyncio.timeout(5):
            await anything.wait()
        anything.clear()
    assert heard == [0, 1, 2, 0]


async def test_a_dead_run_is_cancelled_at_once_and_once_only(url, execute):
    async with app_for(ask(), database=url, large=ScriptedModel(script=["good"])) as app:
        lost = SqlLedger(Database.open(url))
        outbox = await admitted(lost)
        outbox.add([call("a" * 16, status="in_flight")])
        await lost.write(outbox)
        await lost.close()
        let_the_leases_lapse(execute, url)
        ended = await app.cancel(run().run_id)
        assert (ended.status, ended.error_type, ended.fence) == ("cancelled", "Cancelled", 2)
        assert [one.status for one in await app.ledger.calls(run().run_id)] == ["unknown"]
        with pytest.raises(InputError, match="is not running: it is cancelled"):
            await app.cancel(run().run_id)


async def test_a_run_that_came_to_its_end_is_neither_cancelled_nor_resumed(url):
    async with app_for(ask(), database=url, large=ScriptedModel(script=["good"])) as app:
        result = await app.run("ask", QUESTION)
        with pytest.raises(InputError, match=f"the run {result.run_id} is not running: it is succeeded"):
            await app.cancel(result.run_id)
        with pytest.raises(InputError, match=f"{result.run_id} has succeeded: there is nothing left to resume"):
            await app.resume(result.run_id)
        with pytest.raises(InputError, match="no run has the id 'nobody'"):
            await app.resume("nobody")


async def test_a_run_that_is_gone_is_neither_taken_nor_cancelled_nor_settled(open_ledger):
    ledger = open_ledger()
    for doing in (
        ledger.take(run().run_id, NOW, nobody_cancels),
        ledger.cancel(run().run_id, NOW),
        ledger.resolve(run().run_id, "a", done=False),
    ):
        with pytest.raises(InputError, match="no run has the id"):
            await doing


async def test_only_one_action_whose_outcome_is_unknown_is_settled_at_a_time(open_ledger):
    ledger = open_ledger()
    outbox = await admitted(ledger)
    unknown = {"status": "unknown", "tool_effect": "once", "tool_name": "open_ticket"}
    outbox.add([call("aa01", **unknown), call("aa02", **unknown), call("bb01"), call("cc01", status="unknown")])
    await ledger.write(outbox)
    with pytest.raises(RunBusy, match="can be settled when it has stopped"):
        await ledger.resolve(run().run_id, "aa01", done=False)
    await ledger.finish(run(status=RunStatus.NEEDS_REVIEW), outbox)
    open_ones = r"whose outcome is unknown are aa01 \(open_ticket\), aa02 \(open_ticket\)"
    for wrong, said in (
        ("zz", "none is 'zz'"),
        ("bb01", "none is 'bb01'"),
        ("cc01", "none"),
        ("", "none"),
        ("aa", "several fit 'aa'"),
    ):
        with pytest.raises(InputError, match=f"{said}.*{open_ones}"):
            await ledger.resolve(run().run_id, wrong, done=False)
    assert (await ledger.resolve(run().run_id, "01", done=True, answer="T-1")).call_id == "aa01"
    assert (await ledger.resolve(run().run_id, "aa", done=False)).call_id == "aa02"
    settled = {one.call_id: (one.status, one.resolution) for one in await ledger.calls(run().run_id)}
    assert settled == {
        "aa01": ("ok", "done"),
        "aa02": ("failed", "retry"),
        "bb01": ("ok", None),
        "cc01": ("unknown", None),
    }
    with pytest.raises(InputError, match=r"none is 'aa02': the calls of .* are none"):
        await ledger.resolve(run().run_id, "aa02", done=False)
    assert (await ledger.resolve(run().run_id, "aa01", done=True, answer=7)).call_id == "aa01", "it may be mended"


async def test_commits_wait_while_too_much_is_queued_and_all_arrive(open_ledger, monkeypatch):
    monkeypatch.setattr("engine.store.writer._FULL_BYTES", 10_000)
    ledger = open_ledger()
    queued: list[int] = []

    def rows(number: int) -> Iterator[Any]:
        queued.append(number)
        yield from pack(f"{number} " * 1000)[1]

    let_go = threading.Event()
    busy = asyncio.create_task(ledger.change(lambda _: let_go.wait(10)))
    await asyncio.sleep(0)
    commits = [asyncio.create_task(ledger.commit(rows(number))) for number in range(200)]
    await asyncio.sleep(0)
    assert 0 < len(queued) < 10
    let_go.set()
    async with asyncio.timeout(20):
        await asyncio.gather(busy, *commits)
    assert sorted(queued) == list(range(200))
    for number in (0, 100, 199):
        assert await ledger.value(pack(f"{number} " * 1000)[0]) == f"{number} " * 1000


async def test_a_row_that_cannot_be_written_takes_no_other_with_it(open_ledger):
    ledger = open_ledger()
    await admitted(ledger)
    let_go = threading.Event()
    busy = asyncio.create_task(ledger.change(lambda _: let_go.wait(10)))
    await asyncio.sleep(0)
    outcome = OutcomeRecord(run_id=run().run_id, name="good", source="test", created_at=NOW)
    rows = [run(2), run(1), replace(outcome, value=object()), replace(outcome, success=True), run(3, duration_ns=2**70)]
    writing = asyncio.gather(*(ledger.commit([row]) for row in rows), return_exceptions=True)
    await asyncio.sleep(0)
    let_go.set()
    await busy
    results = await writing
    assert [type(one).__name__ for one in results] == ["NoneType", "StoreError", "StoreError", "NoneType", "StoreError"]
    assert len(await ledger.runs()) == 2

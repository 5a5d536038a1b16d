"""A run is ended, and an action of it settled, from another process: once, and never behind a living one's back."""

import asyncio
from functools import partial

import pytest

from engine.errors import InputError, RunBusy
from engine.outbox import Outbox
from engine.records import RunStatus
from engine.runtime.result import RunResult
from engine.store.database import Database
from engine.store.ledger import SqlLedger
from engine.testing import ScriptedModel
from tests.databases import SHARED
from tests.flows import QUESTION, app_for, ask
from tests.open_runs import NOW, Waiting, admitted, call, let_the_leases_lapse, nobody_cancels, run, step, taken

pytestmark = SHARED


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
    with pytest.raises(InputError, match=r"none is 'bb01': the calls of .* are none"):
        await ledger.resolve(run().run_id, "bb01", done=False)


@pytest.mark.parametrize("done", [True, False])
async def test_what_was_said_of_an_action_may_be_mended_until_the_run_has_acted_upon_it(open_ledger, done):
    ledger = open_ledger()
    outbox = await admitted(ledger)
    unknown = {"status": "unknown", "tool_effect": "once", "tool_name": "open_ticket"}
    outbox.add([call("aa01", **unknown)])
    await ledger.write(outbox)
    await ledger.finish(run(status=RunStatus.NEEDS_REVIEW), outbox)
    for word in (done, not done, done):
        assert (await ledger.resolve(run().run_id, "aa01", done=word, answer=7)).call_id == "aa01"
    outbox = await taken(ledger)
    acted_upon = step("s", status="ok") if done else call("aa02", attempt=2, tool_effect="once")
    outbox.add([acted_upon])
    await ledger.write(outbox)
    await ledger.finish(run(status=RunStatus.FAILED, fence=outbox.fence), outbox)
    with pytest.raises(InputError, match=r"none is 'aa01': the calls of .* are none"):
        await ledger.resolve(run().run_id, "aa01", done=not done)


async def test_what_the_actions_of_a_run_answered_stands_once_it_has_succeeded(open_ledger):
    ledger = open_ledger()
    outbox = await admitted(ledger)
    outbox.add([call("aa01", tool_effect="once", status="ok", resolution="done")])
    await ledger.write(outbox)
    await ledger.finish(run(status=RunStatus.SUCCEEDED), outbox)
    for done in (True, False):
        with pytest.raises(InputError, match="has succeeded: what its actions answered stands"):
            await ledger.resolve(run().run_id, "aa01", done=done)
    (kept,) = await ledger.calls(run().run_id)
    assert (kept.status, kept.resolution) == ("ok", "done")

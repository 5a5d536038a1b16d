"""Workers that are drained and killed lose nothing and do nothing twice; runs that wait hold no slot."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from engine import App
from engine.errors import InputError
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from engine.reports.queue import lanes_of, workers_of
from engine.testing import killed
from engine.worker import Worker
from tests.databases import SHARED, ready
from tests.flows import line, noting
from tests.queues import enqueue, statuses, work

GATE: list[asyncio.Event] = []  # a step has begun; it may end
FOLDER: list[Path] = []
RUNS = 6


async def hold(question: str) -> list[str]:
    """Say that it has begun, and wait until it may end."""
    started, may_end = GATE
    started.set()
    await may_end.wait()
    return [question]


def pay(question: str, *, idempotency_key: str) -> str:
    """Pay: leave a line in a file."""
    with (FOLDER[0] / "paid").open("a", encoding="utf-8") as paid:
        paid.write(f"{idempotency_key}\n")
    return "paid"


def was_paid(key: str) -> str | None:
    """Say what paying under a key gave, if anything."""
    return "paid" if key in payments() else None


def payments() -> list[str]:
    path = FOLDER[0] / "paid"
    return path.read_text(encoding="utf-8").split() if path.exists() else []


PAYING = CallTool(tool=pay, args={"question": "question"}, into="ticket", effect="once", probe=was_paid)
HOLDS = line(("hold", Compute(function=hold, into="notes")), ("after", noting()), name="holds")
PAYS = line(("before", noting()), ("pay", PAYING), ("after", noting()), name="pays")
ASKS = line(("pay", PAYING.model_copy(update={"approval": "May this be paid?"})), name="asks")


def app_in(folder: Path, url: str) -> App:
    """An app over files of its own."""
    FOLDER[:] = [folder]
    return App(workflows=[HOLDS, PAYS, ASKS], database=url)


async def work_in(folder: Path, url: str) -> Counter[str]:
    async with app_in(folder, url) as app:
        return await Worker(app, until_empty=True, concurrency=3).run()


@SHARED
@pytest.mark.parametrize(
    ("at", "number"),
    [
        *(("before commit", number) for number in (2, 9)),
        *(("after commit", number) for number in (5, 12)),
        ("before send", 2),
        *(("after answer", number) for number in (1, 4)),
    ],
)
def test_what_a_killed_worker_had_goes_on_in_another_and_is_done_once(tmp_path, database_url, at, number):
    url = ready(database_url)

    async def queue() -> list[str]:
        async with app_in(tmp_path, url) as app:
            return await enqueue(app, RUNS, workflow="pays")

    async def look(run_ids: list[str]) -> list[str]:
        async with app_in(tmp_path, url) as app:
            assert await lanes_of(app.ledger) == []
            return await statuses(app, run_ids)

    run_ids = asyncio.run(queue())
    assert killed(work_in, tmp_path, url, at=at, number=number)
    asyncio.run(work_in(tmp_path, url))
    assert asyncio.run(look(run_ids)) == ["succeeded"] * RUNS
    assert len(payments()) == len(set(payments())) == RUNS


@SHARED
async def test_a_drained_worker_finishes_its_step_and_another_goes_on_from_there(tmp_path, database_url):
    url = ready(database_url)
    GATE[:] = started, may_end = asyncio.Event(), asyncio.Event()
    async with app_in(tmp_path, url) as first, app_in(tmp_path, url) as second:
        (run_id,) = await enqueue(first, workflow="holds")
        working = Worker(first)
        running = asyncio.create_task(working.run())
        await started.wait()
        working.drain()
        may_end.set()
        assert await running == {"queued": 1}
        assert [step.node_name for step in await first.ledger.steps(run_id)] == ["hold"]
        assert await work(second) == {"succeeded": 1}
        assert [step.node_name for step in await second.ledger.steps(run_id)] == ["hold", "after"]


@SHARED
async def test_a_worker_drains_when_somebody_says_so_on_the_ledger(tmp_path, database_url, monkeypatch):
    monkeypatch.setattr("engine.store.lease.beat_seconds", lambda _lease_seconds: 0.05)
    url = ready(database_url)
    GATE[:] = started, may_end = asyncio.Event(), asyncio.Event()
    async with app_in(tmp_path, url) as first, app_in(tmp_path, url) as second:
        (run_id,) = await enqueue(second, workflow="holds")
        working = Worker(first)
        running = asyncio.create_task(working.run())
        await started.wait()
        me = first.ledger.worker_id
        assert await second.drain_worker(me[:8], by="ann") == me
        (row,) = await workers_of(second.ledger)
        assert (row.worker_id, row.alive, row.draining) == (me, True, True)
        while not working.is_draining:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        may_end.set()
        assert await running == {"queued": 1}
        assert working.is_drained_by_word
        assert await work(second) == {"succeeded": 1}
        (event,) = await second.control_events(what="drain worker")
        assert (event.subject, event.by, event.before, event.after) == (
            me,
            "ann",
            {"draining": False},
            {"draining": True},
        )
        assert (await second.ledger.run(run_id)).status == "succeeded"


async def test_a_worker_that_is_not_there_cannot_be_drained(tmp_path):
    async with app_in(tmp_path, f"sqlite:///{tmp_path}/runs.db") as app:
        for name in ("", "nobody", "%"):
            with pytest.raises(InputError, match="no worker has the id"):
                await app.drain_worker(name)
        assert await app.control_events(what="drain worker") == []


@SHARED
async def test_a_run_that_waits_for_a_person_holds_no_slot_and_goes_on_when_they_have_answered(tmp_path, database_url):
    url = ready(database_url)
    async with app_in(tmp_path, url) as app:
        (asks,), others = await enqueue(app, workflow="asks"), await enqueue(app, 3, workflow="pays")
        assert await work(app, concurrency=1) == {"waiting": 1, "succeeded": 3}
        assert await statuses(app, [asks, *others]) == ["waiting"] + ["succeeded"] * 3
        (lane,) = await lanes_of(app.ledger)
        assert (lane.waiting, lane.due, lane.running) == (1, 0, 0)
        assert await work(app) == {}
        await app.answer(asks)
        assert await work(app) == {"succeeded": 1}
        assert len(payments()) == 4


async def test_a_worker_whose_run_is_cancelled_goes_on_with_others(tmp_path):
    GATE[:] = started, _may_end = asyncio.Event(), asyncio.Event()
    async with app_in(tmp_path, f"sqlite:///{tmp_path}/runs.db") as app:
        (run_id,) = await enqueue(app, workflow="holds")
        running = asyncio.create_task(Worker(app, until_empty=True).run())
        await started.wait()
        assert (await app.cancel(run_id)).status == "cancelled"
        assert await running == {"cancelled": 1}
        assert await lanes_of(app.ledger) == []


@pytest.fixture
def flowledger(flowledger, monkeypatch):
    """Run `flowledger` over an app whose workflows need no model."""
    monkeypatch.setenv("FLOWLEDGER_APP", "tests.queues:app")
    return flowledger


def test_runs_are_queued_from_a_file_and_worked_on_from_the_command_line(flowledger, tmp_path):
    (tmp_path / "inputs.jsonl").write_text('{"question": "one"}\n\n{"question": "two"}\n', encoding="utf-8")
    queued = flowledger("enqueue", "fails", "--from", "inputs.jsonl", "--tenant", "acme")
    (batch,) = json.loads(flowledger("batch", "--json").out)
    assert (queued.code, queued.out) == (
        0,
        f"2 queued in the queue default: flowledger batch {batch['batch_id']}\n",
    )
    (lane,) = json.loads(flowledger("queue", "show", "--json").out)
    assert (lane["lane"], lane["due"]) == ("acme", 2)
    assert "acme" in flowledger("queue", "show").out
    worked = flowledger("worker", "--until-empty", "--json")
    assert (worked.code, json.loads(worked.out)) == (0, {"failed": 2})
    (first, _) = json.loads(flowledger("runs", "--status", "failed", "--json").out)
    again = flowledger("requeue", first["run_id"])
    assert (again.code, again.out) == (0, f"{first['run_id']} queued\n")
    shown = flowledger("worker", "--until-empty")
    assert f"{first['run_id']} fails failed" in shown.err
    (worker, *_) = json.loads(flowledger("workers", "--json").out)
    assert (worker["runs"], worker["alive"]) == (0, True)
    assert worker["worker_id"] in flowledger("workers").out


def test_a_worker_that_grows_too_large_says_so_and_ends_with_a_code_of_its_own(flowledger):
    ran = flowledger("worker", "--memory-limit", "1MB")
    assert (ran.code, "more than --memory-limit allows" in ran.err) == (5, True)


def test_several_processes_work_until_nothing_is_left_and_add_up_what_they_did(flowledger):
    flowledger("enqueue", "notes", "question=why")
    worked = flowledger("worker", "--processes=2", "--until-empty", "--json")
    assert (worked.code, json.loads(worked.out)) == (0, {"succeeded": 1})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["enqueue", "fails", "--from", "none.jsonl"], "--from none.jsonl: the file cannot be read"),
        (["enqueue", "fails", "--from", "bad.jsonl"], "--from bad.jsonl, line 2: it is not JSON"),
        (["enqueue", "fails", "--from", "list.jsonl"], "line 1: one JSON object is expected, not a list"),
        (["enqueue", "fails", "question=x", "--from", "bad.jsonl"], "leave FIELD=VALUE and --key out"),
        (["enqueue", "fails", "question=x", "--at", "noon"], "--at 'noon' is not a moment"),
        (["enqueue", "fails", "question=x", "--in", "soon"], "--in 'soon' is not a span"),
        (["enqueue", "fails", "question=x", "--in", "1h", "--at", "2030-01-01"], "--at or --in, not both"),
        (["enqueue", "nothing", "question=x"], "there is no workflow 'nothing'"),
        (["queue", "limit", "default"], "say how many runs may be worked on at once, or --rate"),
        (["queue", "limit", "default", "--rate", "fast"], "--rate 'fast' is not a rate like 10/s"),
        (["queue", "limit", "default", "2", "--workflow", "nothing"], "there is no workflow 'nothing'"),
        (["queue", "limit", "default", "2", "--lane", "a", "--resource", "b"], "say one of --lane, --workflow"),
        (["queue", "limit", "default", "--resource", "b", "--rate", "1/s"], "--rate is for a lane"),
        (["worker", "--workflows", "nothing"], "there is no workflow 'nothing'"),
        (["worker", "--memory-limit", "much"], "--memory-limit 'much' is not a size like 512MB or 2GB"),
        (["worker", "--processes", "3", "--health-port", "65534"], "3 processes need as many ports from there on"),
        (["requeue", "0000"], "no run has the id '0000'"),
    ],
)
def test_what_cannot_be_queued_is_refused_in_a_sentence(flowledger, tmp_path, arguments, said):
    (tmp_path / "bad.jsonl").write_text('{"question": "one"}\n{"question": \n', encoding="utf-8")
    (tmp_path / "list.jsonl").write_text("[]\n", encoding="utf-8")
    ran = flowledger(*arguments)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_queue_is_paused_limited_and_opened_from_the_command_line(flowledger):
    flowledger("enqueue", "fails", "question=x", "--in", "1h")
    assert "flowledger queue resume default" in flowledger("queue", "pause", "default").out
    assert "paused" in flowledger("queue", "show").out
    assert flowledger("queue", "resume", "default").out == "the queue default is open\n"
    assert flowledger("queue", "limit", "default", "4", "--lane", "acme").out == "default, lane acme: 4 at once\n"
    both = flowledger("queue", "limit", "default", "--lane", "acme", "--rate", "30/m").out
    assert both == "default, lane acme: 30/m\n"
    assert "4, 0.5/s" in flowledger("queue", "show").out
    assert (
        flowledger("queue", "limit", "default", "2", "--workflow", "fails").out
        == "default, workflow fails: 2 at once\n"
    )
    assert flowledger("queue", "limit", "default", "1", "--resource", "crm").out == "default, resource crm: 1 at once\n"
    assert "crm" in flowledger("queue", "limits").out
    assert flowledger("queue", "limit", "default", "0", "--resource", "crm").out == "default, resource crm: no limit\n"
    (limit,) = json.loads(flowledger("queue", "limits", "--json").out)
    assert limit == {"queue": "default", "kind": "workflow", "name": "fails", "max_running": 2, "running": 0}
    lanes = {lane["lane"]: lane for lane in json.loads(flowledger("queue", "show", "--json").out)}
    assert (lanes[""]["delayed"], lanes["acme"]["max_running"]) == (1, 4)

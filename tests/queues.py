"""Workflows and helpers for tests of queues and workers."""

from collections.abc import Iterable

from sqlalchemy import update

from engine import App
from engine.nodes.call_tool import CallTool
from engine.runtime.enqueue import QueuePlace, RunRequest
from engine.store.tables import runs
from engine.worker import Worker
from tests.flows import Ask, line, noting


def fail(question: str) -> str:
    """Fail."""
    raise ValueError(question)


NOTES = line(("first", noting()), ("second", noting()), name="notes", state=Ask)
FAILS = line(("tool", CallTool(tool=fail, args={"question": "question"}, into="ticket")), name="fails")
app = App(workflows=[NOTES, FAILS])


def app_on(url: str, *workflows: object) -> App:
    return App(workflows=workflows or (NOTES,), database=url)


def told_app(url: str, dispatcher: str | None = None, version: str = "") -> App:
    """Give an app whose workers are told of runs; the version is the name of a node."""
    notes = line(("first", noting()), (version or "second", noting()), name="notes", state=Ask)
    return App(workflows=[notes], database=url, dispatcher=dispatcher)


async def enqueue(app: App, count: int = 1, workflow: str = "notes", **fields: object) -> list[str]:
    """Queue runs and give their ids; queue, lane, priority, resource and at make its place."""
    places = {name: fields.pop(name) for name in ("queue", "lane", "priority", "resource", "at") if name in fields}
    request = RunRequest({"question": "why?"}, place=QueuePlace(**places), **fields)
    return [run.run_id for run in await app.enqueue_all(workflow, [request] * count)]


async def claimed(app: App, capacity: int = 10, **fields: object) -> list[str]:
    return [taken.record.run_id for taken in await app.claim(capacity, **fields)]


async def work(app: App, **fields: object) -> dict[str, int]:
    return dict(await Worker(app, until_empty=True, **fields).run())


async def statuses(app: App, run_ids: Iterable[str]) -> list[str]:
    return [str((await app.ledger.run(run_id)).status) for run_id in run_ids]


async def go_on(app: App, run_id: str) -> str:
    """Claim one run and work on it here."""
    (taken,) = [one for one in await app.claim(10) if one.record.run_id == run_id]
    return str((await app.go_on(taken)).status)


async def fall_silent(app: App, worker_id: str) -> None:
    """Have the runs of a worker look as if they belonged to one that is gone."""
    theirs = update(runs).where(runs.c.worker_id == worker_id).values(worker_id="gone")
    await app.ledger.change(lambda connection: connection.execute(theirs))

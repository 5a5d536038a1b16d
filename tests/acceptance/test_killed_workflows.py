"""A shipped run whose process was killed, at whichever moment, opens its ticket exactly once when it is resumed."""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from engine.app import App
from engine.models.roles import Model
from engine.records import RunStatus
from engine.testing import CRASH_POINTS, kill_at, killed, reached_points
from tools.documents import index_folder
from workflows.answer_docs import answer_docs
from workflows.triage import triage

RUN = "0" * 31 + "1"
MESSAGE = {"message": "The dashboard is down and the API fails for all of us."}
OFF_TOPIC = {"question": "Who won the chess world championship in 1972?", "collection": "handbook"}
BOUNDARIES = [(point, number) for point in CRASH_POINTS for number in range(1, 12 if "commit" in point else 3)]


def app_in(folder: Path) -> App:
    """The app as it is deployed, over files of its own."""
    os.environ["FLOWLEDGER_TICKETS"] = str(folder / "tickets.db")
    os.environ["FLOWLEDGER_INDEX"] = str(folder / "index.db")
    models = {"large": Model("embedded"), "small": Model("embedded")}
    return App(workflows=[answer_docs, triage], models=models, database=f"sqlite:///{folder}/runs.db")


async def run_triage(folder: Path) -> None:
    """What the process does that is killed."""
    async with app_in(folder) as app:
        await app.run("triage", MESSAGE, run_id=RUN)


async def run_answer_docs(folder: Path) -> None:
    """The same for a question that is handed to a person."""
    async with app_in(folder) as app:
        await app.run("answer-docs", OFF_TOPIC, run_id=RUN)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("FLOWLEDGER_TICKETS", "")
    monkeypatch.setenv("FLOWLEDGER_INDEX", str(tmp_path / "index.db"))


def tickets(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "tickets.db") as opened:
        found = [queue for (queue,) in opened.execute("SELECT queue FROM ticket")]
    opened.close()
    return found


async def test_every_crash_point_is_among_those_at_which_a_run_is_killed(tmp_path):
    with reached_points() as reached:
        await run_triage(tmp_path)
    most = max(number for point, number in BOUNDARIES if point == "before send")
    assert reached["before send"] == reached["after answer"] == most
    assert reached["after commit"] >= 6


@pytest.mark.parametrize(("point", "number"), BOUNDARIES)
async def test_a_killed_run_opens_its_ticket_exactly_once(tmp_path, point, number):
    died = await asyncio.to_thread(killed, run_triage, tmp_path, at=point, number=number)
    assert died or "commit" in point, "a run has so many sends and answers"
    async with app_in(tmp_path) as app:
        result = await app.run("triage", MESSAGE, run_id=RUN)
        assert (result.status, result.output["handed_over"]) == (RunStatus.SUCCEEDED, True)
        assert tickets(tmp_path) == ["operations"]
        actions = [call for call in await app.ledger.calls(RUN) if call.tool_effect == "once"]
        assert [call.status for call in actions].count("ok") == 1
        assert {call.status for call in actions} <= {"ok", "failed"}, "a probe has settled what was cut"
        assert len({call.idempotency_key for call in actions}) == 1
        done = [step.node_name for step in await app.ledger.steps(RUN) if step.status == "ok"]
        assert done == ["sort", "outage", "check"]


@pytest.mark.parametrize("point", ["before send", "after answer"])
async def test_a_question_that_was_being_handed_over_is_handed_over_once_and_needs_nobody(tmp_path, point):
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "refunds.md").write_text("# Refunds\n\nRefunds take five days.\n")
    await asyncio.to_thread(index_folder, folder, "handbook")
    died = await asyncio.to_thread(killed, run_answer_docs, tmp_path, at=point, number=3)
    assert died, "to find and to draft came before"
    async with app_in(tmp_path) as app:
        result = await app.run("answer-docs", OFF_TOPIC, run_id=RUN)
        assert (result.status, result.output["ticket_id"]) == (RunStatus.SUCCEEDED, "T-000001")
        actions = [call.status for call in await app.ledger.calls(RUN) if call.tool_effect == "once"]
        assert actions == (["failed", "ok"] if point == "before send" else ["ok"])
    assert tickets(tmp_path) == ["support"]


def break_down() -> None:
    raise RuntimeError("the work does not work")


def test_work_that_raises_is_not_taken_for_killed():
    with pytest.raises(RuntimeError, match="break_down raised, and its process ended with the exit code 1"):
        killed(break_down, at="before send")


def test_work_that_does_not_reach_the_point_is_not_killed(tmp_path):
    assert not killed(app_in, tmp_path, at="before send")


def test_a_point_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="no crash point 'before lunch'; they are before commit, after commit"):
        kill_at("before lunch")

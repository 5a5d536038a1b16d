"""An agent whose process was killed in the middle of its rounds, at whichever moment, books each seat exactly once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage, ToolMessage

from engine.app import App
from engine.nodes.agent import Agent
from engine.nodes.agent_tool import AgentTool
from engine.records import RunStatus
from engine.testing import ScriptedModel, asking_for, killed
from tests.flows import line

RUN = "0" * 31 + "1"
ROUNDS = 8
SENT = 2 * ROUNDS - 1  # eight requests, and a call after each but the last
PLACES = [*(("before send", n) for n in range(3, SENT, 2)), *(("after answer", n) for n in range(2, SENT, 2))]
PLACES += [("after commit", n) for n in (5, 12, 19, 26)] + [("before commit", n) for n in (8, 16, 24)]
FOLDER: list[Path] = []


def book(seat: int, *, idempotency_key: str) -> str:
    """Book a seat."""
    with (FOLDER[0] / "booked").open("a", encoding="utf-8") as booked:
        booked.write(f"{idempotency_key} {seat}\n")
    return f"seat {seat} is booked"


def was_booked(key: str) -> str | None:
    """Say what booking under a key gave, if anything."""
    return next((f"seat {seat} is booked" for found, seat in bookings() if found == key), None)


def bookings() -> list[tuple[str, str]]:
    path = FOLDER[0] / "booked"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [(key, seat) for key, _, seat in (line.partition(" ") for line in lines)]


def next_seat(messages: list[BaseMessage]) -> Any:
    """Book one seat after another, and then say what came of it."""
    with (FOLDER[0] / "asked").open("a", encoding="utf-8") as asked:
        asked.write("asked\n")
    told = [message.text for message in messages if isinstance(message, ToolMessage)]
    return asking_for(("book", {"seat": len(told) + 1})) if len(told) < ROUNDS - 1 else "; ".join(told)


def app_in(folder: Path) -> App:
    """An app over files of its own."""
    FOLDER[:] = [folder]
    tools = [AgentTool(tool=book, effect="once", probe=was_booked)]
    agent = Agent(model="large", prompt="{question}", tools=tools, into="answer", max_rounds=ROUNDS, max_tokens=50)
    model = ScriptedModel(script=[next_seat])
    return App(workflows=[line(("agent", agent))], models={"large": model}, database=f"sqlite:///{folder}/runs.db")


async def run_agent(folder: Path) -> None:
    """What the process does that is killed."""
    async with app_in(folder) as app:
        await app.run("line", {"question": "Book seven seats."}, run_id=RUN)


async def goes_on_to_the_same_end(folder: Path) -> None:
    async with app_in(folder) as app:
        result = await app.run("line", {"question": "Book seven seats."}, run_id=RUN)
        assert result.status is RunStatus.SUCCEEDED
        assert result.output["answer"] == "; ".join(f"seat {seat} is booked" for seat in range(1, ROUNDS))
        calls = await app.ledger.calls(RUN)
    assert [seat for _, seat in bookings()] == [str(seat) for seat in range(1, ROUNDS)]
    assert len([call for call in calls if call.status == "ok"]) == SENT
    asked = (folder / "asked").read_text(encoding="utf-8").splitlines()
    assert len(asked) <= ROUNDS + 1, "only a request that was on its way is made again"


@pytest.mark.parametrize(("point", "number"), PLACES)
async def test_a_killed_agent_ends_with_the_same_answer_and_each_call_made_once(tmp_path, point, number):
    assert await asyncio.to_thread(killed, run_agent, tmp_path, at=point, number=number)
    await goes_on_to_the_same_end(tmp_path)


def test_it_is_killed_at_twenty_places():
    assert len(PLACES) >= 20

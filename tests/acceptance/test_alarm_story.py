"""A tool begins to fail in a new version: the alarm rises once, names both, and clears when they work again."""

import asyncio
from datetime import timedelta

import pytest

from engine import Alarm, App
from engine.nodes.call_tool import CallTool
from engine.testing import StillClock
from tests.databases import ready
from tests.flows import Ask, line

down: set[str] = set()


def look_up(question: str) -> str:
    """Look an order up."""
    return question


def ship(question: str) -> str:
    """Ship an order, if the carrier answers."""
    if down:
        raise RuntimeError("the carrier does not answer")
    return f"shipped {question}"


class Told:
    """A sink that remembers."""

    label = "test"

    def __init__(self):
        self.events = []

    async def send(self, event, now):
        self.events.append(event)


def orders(**fields):
    find = CallTool(tool=look_up, args={"question": "question"}, into="answer", effect="read")
    send = CallTool(tool=ship, args={"question": "answer"}, into="ticket", effect="idempotent")
    return line(("find", find), ("send", send), name="orders", state=Ask, **fields)


async def test_a_tool_that_begins_to_fail_in_a_version_is_named_and_the_alarm_clears_when_it_works(
    database_url, request
):
    url = database_url if ":memory:" in database_url else ready(database_url)
    clock, told = StillClock(), Told()
    alarm = Alarm(name="tools", metric="tool_failure_rate", above=0.2, clear=0.05, least=20, sinks=[told])
    async with App(workflows=[orders()], database=url, clock=clock, alarms=[alarm]) as app:
        before, after = orders(), orders(description="ships by air")
        request.addfinalizer(down.clear)

        async def serve(workflow):
            app.workflows["orders"] = workflow
            for number in range(12):
                await app.run("orders", {"question": f"order {number}"}, tenant=f"t{number % 3}")
            clock.advance(60)
            return await app.check_alarms()

        assert await serve(before) == []
        clock.advance(1_200)
        down.add("carrier")
        (raised,) = await serve(after)
        failed = {run.run_id for run in await app.ledger.runs(status="failed")}
        assert (raised.what, raised.many, raised.value) == ("raised", 24, 0.5)
        assert raised.low is not None
        assert raised.low > 0.2
        assert len(raised.runs) == 10
        assert {*raised.runs} <= failed
        named = {(lever["dimension"], lever["part"]) for lever in raised.levers}
        assert named == {("tool", "ship"), ("node", "send"), ("version", after.version)}
        assert all(lever["explains"] == pytest.approx(1.0) for lever in raised.levers)
        assert raised.levers[0]["command"].startswith("flowledger health --by ")
        clock.advance(60)
        looks = await asyncio.gather(app.check_alarms(), app.check_alarms())
        assert looks == [[], []], "it is raised once"
        clock.advance(1_200)
        down.clear()
        (cleared,) = await serve(after)
        assert (cleared.what, cleared.value, [event["what"] for event in told.events]) == (
            "cleared",
            0.0,
            ["raised", "cleared"],
        )
        assert "tool ship: mean 1 over 12 now, 0 over 12 before; explains 100% of the change" in told.events[0]["text"]
        assert [event.number for event in await app.alarm_events("tools")] == [2, 1]
        await app.silence_alarm("tools", timedelta(hours=1), by="ann")
        clock.advance(1_200)
        down.add("carrier")
        assert [event.what for event in await serve(after)] == ["raised"]
        assert len(told.events) == 2, "silenced"

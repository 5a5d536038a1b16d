"""Events of runs over HTTP: as they happen, from where a reader left off, and at no cost to the run."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from engine import App
from engine.runtime.events import Event, RunStarted
from engine.server.events import MOST_SECONDS_BEHIND, EventStream
from engine.server.watch import Watch
from engine.testing import VirtualClock, in_virtual_time
from engine.worker import Worker
from tests.flows import line, scripted
from tests.queues import NOTES, app_on, work
from tests.served import as_tenant, queue, told
from tests.streams import GATES, Essay, gated, write

WRITES = line(("draft", write("left")), state=Essay, name="writes")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/runs.db"


def writing(url: str) -> App:
    return App(workflows=[WRITES, NOTES], models={"left": scripted("good and short")}, database=url)


def names(events: list[dict[str, str]]) -> list[str]:
    return [event["event"] for event in events]


async def test_a_queued_run_is_followed_to_its_end_and_taken_up_again(url):
    async with writing(url) as app, as_tenant(app) as client:
        path = f"/v1/runs/{(await queue(client, 'writes', input={'topic': 'cats'}))['run_id']}/events"
        follows = asyncio.create_task(client.get(path))
        await asyncio.sleep(0)
        await Worker(app, until_empty=True, heard=True).run()
        answer = await follows
        events = told(answer.text)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert names(events)[:2] == ["run_started", "step_started"]
        assert names(events)[-1] == "run_finished"
        assert json.loads(events[-1]["data"])["result"]["output"]["left"] == "good and short"
        again = await client.get(path)
        third = told(again.text)[2]["id"]
        rest = await client.get(path, headers={"Last-Event-ID": third})
        assert told(rest.text) == told((await client.get(path, params={"after": third})).text) == told(again.text)[3:]
        over = await client.get(path, headers={"Last-Event-ID": events[-1]["id"]})
        assert (over.status_code, over.content) == (204, b"")
        assert (await client.get(path, headers={"Last-Event-ID": "twelve"})).status_code == 422


async def test_text_is_heard_as_it_is_written_where_the_worker_is_at_the_servers_side(url):
    GATES["gate"], GATES["reached"] = asyncio.Event(), asyncio.Event()
    flow = gated(("draft", write("left")))
    async with App(workflows=[flow], models={"left": scripted("good and short")}, database=url) as app:
        run = await app.enqueue("essay", {"topic": "cats"})
        working = asyncio.create_task(Worker(app, until_empty=True, heard=True).run())
        await GATES["reached"].wait()
        stream = app.stream(run_id=run.run_id)
        heard = [await anext(stream)]
        while "text" not in heard[-1].to_json():
            heard.append(await anext(stream))
        assert heard[-1].to_json()["text"] == "good and short"
        GATES["gate"].set()
        assert [event.to_json()["event"] async for event in stream][-1] == "run_finished"
        await working


async def test_a_run_of_another_process_is_followed_through_the_ledger(url):
    async with writing(url) as app, as_tenant(app) as client:
        path = f"/v1/runs/{(await queue(client))['run_id']}/events"
        follows = asyncio.create_task(client.get(path))
        async with writing(url) as elsewhere:
            await work(elsewhere)
            expected = [event.cursor async for event in elsewhere.stream(run_id=path.split("/")[3])]
        assert [event["id"] for event in told((await follows).text)] == expected


async def test_a_reader_that_leaves_changes_nothing_about_the_run(url):
    async with writing(url) as app, as_tenant(app) as client:
        run = await queue(client)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.get(f"/v1/runs/{run['run_id']}/events"), 0.05)
        assert (await client.get(f"/v1/runs/{run['run_id']}")).json()["status"] == "queued"
        assert (await work(app)) == {"succeeded": 1}


class Reader:
    """The other end of a connection: takes so many pieces, then no more."""

    def __init__(self, takes: int = 10**9) -> None:
        self.heard: list[str] = []
        self.left, self._takes = asyncio.Event(), takes

    async def send(self, message: dict[str, Any]) -> None:
        if len(self.heard) >= self._takes:
            await asyncio.Event().wait()
        self.heard.append(message.get("body", b"").decode())

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def read(self, stream: EventStream) -> None:
        await stream({"type": "http"}, self.receive, self.send)


class Source:
    """Events that come, one a second; counts how many were asked for, and says when nobody reads any more."""

    def __init__(self, most: int = 10**9) -> None:
        self.given, self.is_closed, self._most = 0, False, most

    async def events(self) -> AsyncGenerator[Event]:
        try:
            while self.given < self._most:
                self.given += 1
                at = VirtualClock().now()
                yield RunStarted(run_id="0" * 32, seq=self.given, at=at, workflow="x", resumed=False)
                await asyncio.sleep(1)
            await asyncio.Event().wait()
        finally:
            self.is_closed = True


def test_a_reader_that_takes_nothing_is_let_go_and_no_event_is_kept_for_it():
    async def story() -> None:
        source, reader = Source(), Reader(takes=4)
        began = asyncio.get_running_loop().time()
        await reader.read(EventStream(source.events()))
        assert asyncio.get_running_loop().time() - began <= MOST_SECONDS_BEHIND + 5
        assert (source.given, source.is_closed) == (3, True)

    in_virtual_time(story())


def test_a_stream_on_which_nothing_happens_says_that_it_is_there():
    async def story() -> None:
        source, reader = Source(most=1), Reader()
        reading = asyncio.create_task(reader.read(EventStream(source.events())))
        await asyncio.sleep(100)
        assert len([text for text in reader.heard if text.startswith(":")]) == 6
        reader.left.set()
        await reading
        assert source.is_closed

    in_virtual_time(story())


def test_streams_and_those_who_wait_end_when_the_server_stops():
    async def story() -> None:
        async with App(workflows=[NOTES], database="sqlite:///:memory:", clock=VirtualClock()) as app:
            apps.append(app)
            run, watch = await app.enqueue("notes", {"question": "why?"}), Watch(app.ledger)
            loop = asyncio.get_running_loop()
            assert (await watch.until_still(run, 20)).status == "queued"
            assert 20 <= loop.time() < 21
            reader = Reader()
            stream = EventStream(app.stream(run_id=run.run_id), is_closing=watch.is_closing)
            doing = asyncio.gather(reader.read(stream), watch.until_still(run, 60))
            await asyncio.sleep(3)
            watch.is_closing.set()
            await doing
            assert 23 <= loop.time() < 24

    apps: list[App] = []
    in_virtual_time(story(), is_idle=lambda: not apps or apps[0].ledger.is_idle)


async def test_a_stream_goes_on_where_a_question_has_its_answer(url):
    from tests.acceptance.test_http_api import SENDS

    async with app_on(url, SENDS) as app, as_tenant(app) as client:
        run_id = (await queue(client, "sends"))["run_id"]
        await work(app)
        first = told((await client.get(f"/v1/runs/{run_id}/events")).text)
        assert json.loads(first[-1]["data"])["result"]["status"] == "waiting"
        await app.answer(run_id)
        behind = {"Last-Event-ID": first[-1]["id"]}
        follows = asyncio.create_task(client.get(f"/v1/runs/{run_id}/events", headers=behind))
        await asyncio.sleep(0)
        await work(app)
        rest = told((await follows).text)
    assert names(rest)[0] == "run_started"
    assert json.loads(rest[-1]["data"])["result"]["status"] == "succeeded"

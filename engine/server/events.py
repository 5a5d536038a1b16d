"""Events of a run as server-sent events; whoever reads comes and goes as they like, and the run does not notice."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from starlette.types import Receive, Scope, Send

from engine.app import App
from engine.errors import EngineError
from engine.records import RunRecord
from engine.runtime.events import Event
from engine.server.callers import Reader, RunId, run_of
from engine.server.problems import told
from engine.server.watch import GOES_ON, Watch

KEEP_ALIVE_SECONDS = 15.0  # proxies cut connections on which nothing is said for a minute
MOST_SECONDS_BEHIND = 30.0  # a reader that takes nothing for so long is let go, and comes back by its last event
_AGAIN_MS = 1000

_CURSOR = r"^[0-9]{1,18}(-[0-9]{1,18})?$"
After = Annotated[
    str | None,
    Query(pattern=_CURSOR, description="The id of the last event that is not wanted again; 0: from the beginning."),
]
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", pattern=_CURSOR, description="The same, as browsers say it.")
]

_TEXT = {"type": "string"}
_ITEM = {
    "type": "object",
    "properties": {
        "id": _TEXT | {"description": "Its cursor."},
        "event": _TEXT
        | {"description": "Its kind, as run_started, text_delta or run_finished; `problem` if it broke off."},
        "data": _TEXT | {"contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}


@dataclass(frozen=True, slots=True)
class Events:
    """The address /v1/runs/{run_id}/events."""

    app: App
    watch: Watch

    def add_to(self, router: APIRouter) -> None:
        """Add the address."""
        said: dict[int | str, dict[str, Any]] = {
            200: {"description": "The events.", "content": {"text/event-stream": {"itemSchema": _ITEM}}},
            204: {"description": "It is over, and nothing is behind that event: do not come back."},
        }
        path, summary = "/runs/{run_id}/events", "Follow a run"
        router.add_api_route(
            path, self.follow, methods=["GET"], responses=said, summary=summary, response_class=Response
        )

    async def follow(
        self, run_id: RunId, caller: Reader, after: After = None, last_event_id: LastEventId = None
    ) -> Response:
        """Give the events of a run as server-sent events, until it ends or waits for a person.

        A run that this process works on is told as it happens, with the text as it is written; one of another process
        step by step, as its steps end.
        """
        run = await run_of(self.app, run_id, caller)
        events = self.app.stream(run_id=run_id, after=last_event_id or after or 0)
        first = None
        if await self._is_still(run):
            first = await anext(events, None)
            if first is None:
                return Response(status_code=204)
        return EventStream(events, first, self.watch.is_closing)

    async def _is_still(self, run: RunRecord) -> bool:
        return run.status not in GOES_ON and (run.ended_at is not None or bool(await self.app.questions(run.run_id)))


class EventStream(Response):
    """Writes events as they come, as fast as the reader takes them; no more than one is kept for it."""

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[Event], first: Event | None = None, is_closing: asyncio.Event | None = None
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events, self._first, self._is_closing = events, first, is_closing or asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until there is nothing more, the reader leaves or is too slow, or the server stops."""
        del scope
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        writing = asyncio.create_task(self._write(send))
        others = [asyncio.create_task(_gone(receive)), asyncio.create_task(self._is_closing.wait())]
        try:
            await asyncio.wait([writing, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, *others):
                task.cancel()
            ended = await asyncio.gather(writing, *others, return_exceptions=True)
            await self._events.aclose()
        if not isinstance(ended[0], TimeoutError | OSError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send) -> None:
        async def say(text: str) -> None:
            async with asyncio.timeout(MOST_SECONDS_BEHIND):
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        await say(f"retry: {_AGAIN_MS}\n\n")
        if self._first is not None:
            await say(_as_text(self._first))
        coming: asyncio.Future[Event] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(self._events))
                await asyncio.wait((coming,), timeout=KEEP_ALIVE_SECONDS)
                if coming.done():
                    event, coming = coming.result(), None
                    await say(_as_text(event))
                else:
                    await say(": nothing new\n\n")
        except StopAsyncIteration:
            return
        except EngineError as error:
            await say(f"event: problem\ndata: {told(error).model_dump_json()}\n\n")
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    """Return when the reader has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _as_text(event: Event) -> str:
    plain: dict[str, Any] = event.to_json()
    return f"id: {event.cursor}\nevent: {plain['event']}\ndata: {json.dumps(plain, ensure_ascii=False)}\n\n"

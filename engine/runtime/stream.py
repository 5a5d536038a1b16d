"""Streams of events: a run is started and heard to its end, or one is listened to from a place on.

The events of a run in progress stand in one log that all its readers share. A run never waits for a reader, and one
that lags costs nothing: the pieces of an answer that it has not read yet come to it as one.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from operator import attrgetter

from engine.errors import InputError
from engine.ports import Clock
from engine.runtime.events import Event, Listener, Place, RunFinished, RunStarted, TextDelta
from engine.runtime.replay import Rows, follow, recorded
from engine.runtime.result import RunResult

_MOST_DIGITS = 18
_place = attrgetter("place")


@dataclass(slots=True)
class Text:
    """The pieces of one answer, together at the place of the last."""

    last: TextDelta
    places: list[Place] = field(default_factory=list[Place])
    pieces: list[str] = field(default_factory=list[str])

    @property
    def place(self) -> Place:
        """Where the last piece stands."""
        return self.last.place

    def add(self, piece: TextDelta) -> None:
        """Add a piece."""
        self.last = piece
        self.places.append(piece.place)
        self.pieces.append(piece.text)

    def after(self, place: Place) -> TextDelta:
        """Give what follows a place, as one piece."""
        return replace(self.last, text="".join(self.pieces[bisect_right(self.places, place) :]))


@dataclass(slots=True)
class EventLog:
    """The events of a run in progress, in order; of each answer there is one entry, however many pieces it came in.

    Attributes:
        is_over: whether nothing follows.
    """

    is_over: bool = False
    _entries: list[Event | Text] = field(default_factory=list["Event | Text"])
    _texts: dict[str, Text] = field(default_factory=dict[str, Text])
    _news: asyncio.Event | None = None

    @property
    def begins(self) -> Place | None:
        """Where its first event stands."""
        return self._entries[0].place if self._entries else None

    def add(self, event: Event) -> None:
        """Take an event in; returns at once."""
        self._entries.append(self._joined(event) if isinstance(event, TextDelta) else event)
        self._wake()

    def close(self) -> None:
        """Say that nothing follows."""
        self.is_over = True
        self._wake()

    def after(self, place: Place) -> list[Event]:
        """Give what there is behind a place."""
        found = self._entries[bisect_right(self._entries, place, key=_place) :]
        return [entry.after(place) if isinstance(entry, Text) else entry for entry in found]

    async def read(self, after: Place) -> AsyncGenerator[Event]:
        """Give the events behind a place as they come, until the log is closed."""
        while True:
            for event in (found := self.after(after)):
                after = event.place
                yield event
            if not found:
                if self.is_over:
                    return
                self._news = self._news or asyncio.Event()
                await self._news.wait()

    def _joined(self, piece: TextDelta) -> Text:
        """Add a piece to the others of its answer, and take their entry out, to be put behind everything."""
        text = self._texts.get(piece.call_id)
        if text is None:
            text = self._texts[piece.call_id] = Text(piece)
        else:
            del self._entries[bisect_left(self._entries, text.place, key=_place)]
        text.add(piece)
        return text

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None


@dataclass(slots=True)
class Streams:
    """The streams of an app: the logs of its runs in progress, by id."""

    clock: Clock
    _logs: dict[str, EventLog] = field(default_factory=dict[str, EventLog])

    async def start(
        self, run: Callable[[Listener], Awaitable[RunResult]], rows: Rows, after: Place
    ) -> AsyncGenerator[Event]:
        """Run something and give its events; if the reader leaves before the end, the run is cancelled.

        Raises:
            EngineError: the run could not begin, or another process has taken it.
        """
        log = EventLog()
        running = asyncio.create_task(self.tell(run, log))
        try:
            async for event in log.read(after):
                yield event
            result = await running
            if log.begins is None:  # it had come to its end before
                async for event in follow(rows, result.run_id, after, self.clock):
                    yield event
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def tell(self, run: Callable[[Listener], Awaitable[RunResult]], log: EventLog | None = None) -> RunResult:
        """Run something whose events whoever attaches can read as they come."""
        log = log or EventLog()

        def hear(event: Event) -> None:
            if isinstance(event, RunStarted):
                self._logs[event.run_id] = log
            log.add(event)

        try:
            return await run(hear)
        finally:
            log.close()
            self._logs = {run_id: kept for run_id, kept in self._logs.items() if kept is not log}

    async def attach(self, rows: Rows, run_id: str, after: Place) -> AsyncGenerator[Event]:
        """Give the events of a run that was begun elsewhere or before; whoever leaves changes nothing about it.

        Raises:
            InputError: there is no such run.
        """
        run_id = (await rows.run(run_id)).run_id
        while True:
            log = self._logs.get(run_id)
            if log is not None and log.begins is not None:
                for event in await recorded(rows, run_id):  # what other processes had done before
                    if after < event.place < log.begins:
                        after = event.place
                        yield event
                async for event in log.read(after):
                    after = event.place
                    yield event
                    if isinstance(event, RunFinished):
                        return
            async for event in follow(rows, run_id, after, self.clock, lambda: run_id in self._logs):
                after = event.place
                yield event
            if run_id not in self._logs:
                return


def place_of(cursor: int | str) -> Place:
    """Read what an event calls its cursor, or its number.

    Raises:
        InputError: it is neither.
    """
    seq, _, part = str(cursor).partition("-")
    numbers = [seq, part] if part else [str(cursor)]
    if not all(one.isascii() and one.isdecimal() and len(one) <= _MOST_DIGITS for one in numbers):
        raise InputError(f"after={cursor!r} is no place in a stream: give the cursor or the seq of an event, or 0")
    return int(seq), int(part or 0)

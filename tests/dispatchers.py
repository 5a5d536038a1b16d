"""Workers that are told of runs, a dispatcher that is bad at it, and a cable that can be cut."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from engine import App, Worker
from engine.ports import Dispatcher, Ear, Hint

Ended = asyncio.Queue[tuple[str, str]]


@asynccontextmanager
async def working(app: App, said: Ended | None = None, **fields: Any) -> AsyncIterator[Ended]:
    """Have a worker at work, and give what it says of how each run ended, with what others say if they share it."""
    ended: Ended = asyncio.Queue() if said is None else said
    worker = Worker(app, on_end=lambda taken, status: ended.put_nowait((taken.record.run_id, status)), **fields)
    running = asyncio.create_task(worker.run())
    try:
        yield ended
    finally:
        worker.drain()
        await running


async def next_of(ended: Ended) -> tuple[str, str]:
    async with asyncio.timeout(20):
        return await ended.get()


class Lossy:
    """Drops a third of all hints, doubles another, and delivers what is left in another order."""

    def __init__(self, inner: Dispatcher, seed: int) -> None:
        self._inner, self._chance = inner, random.Random(seed)
        self.dropped = self.doubled = 0

    def send(self, hints: Sequence[Hint]) -> None:
        sent: list[Hint] = []
        for hint in hints:
            drawn = self._chance.random()
            self.dropped += drawn < 0.3
            self.doubled += drawn > 0.7
            sent += [hint] * (0 if drawn < 0.3 else 2 if drawn > 0.7 else 1)
        self._chance.shuffle(sent)
        for hint in sent:
            self._inner.send([hint])

    async def listen(self, ear: Ear) -> None:
        await self._inner.listen(ear)

    async def close(self) -> None:
        await self._inner.close()


class Cable:
    """Stands between a client and a server, until it is cut; what is cut can be mended."""

    def __init__(self, host: str, port: int) -> None:
        self._place = host, port
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._place)
        for pump in (self._pump(reader, back), self._pump(there, writer)):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()

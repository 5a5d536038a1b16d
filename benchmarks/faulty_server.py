"""An OpenAI-compatible server that answers each request as a script says: well, or with a fault of real ones."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

FAULTS = ("429", "500", "hang", "cut", "slow stream")
"""Too many requests with Retry-After; an error; no answer at all; cut in the middle; chunks that trickle."""

WORDS = ["The", "answer", "is", "five", "days"]
Writer = asyncio.StreamWriter


@dataclass(frozen=True, slots=True)
class Seen:
    """A request: which model, when (seconds since 1970), and what it was answered with: a fault, or ok."""

    model: str
    at: float
    answered: str


@dataclass(slots=True)
class FaultyServer:
    """Listens on a free port of this machine; `script` names a fault, or None, for each request of a model.

    Attributes:
        seen: every request, in order.
        retry_after: what a 429 asks for, in seconds.
        pause: seconds between two chunks of a slow stream.
    """

    script: Callable[[str], str | None]
    retry_after: float = 0.2
    pause: float = 0.5
    seen: list[Seen] = field(default_factory=list[Seen])
    _server: asyncio.Server | None = None
    _open: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])

    @property
    def base_url(self) -> str:
        """The address for a client."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._answer(reader, writer):
                    pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: Writer) -> bool:
        """Read one request and answer it; say whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        asked = json.loads(await reader.readexactly(length))
        fault = self.script(asked["model"])
        self.seen.append(Seen(asked["model"], time.time(), fault or "ok"))
        if fault in ("429", "500"):
            extra = f"retry-after: {self.retry_after}\r\n" if fault == "429" else ""
            return await _send(writer, fault, {"error": {"message": f"scripted {fault}"}}, extra)
        if fault == "hang":
            await asyncio.sleep(3600)
        if asked.get("stream"):
            return await self._stream(writer, asked["model"], fault)
        if fault == "cut":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{")
            await writer.drain()
            return False
        if fault == "slow stream":
            await asyncio.sleep(self.pause * len(WORDS))
        message = {"role": "assistant", "content": " ".join(WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return await _send(writer, "200", _completion(asked["model"], "chat.completion", [choice]) | {"usage": USAGE})

    async def _stream(self, writer: Writer, model: str, fault: str | None) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for number, word in enumerate(WORDS):
            if fault == "cut" and number == 2:
                return False
            if fault == "slow stream":
                await asyncio.sleep(self.pause)
            delta = {"role": "assistant", "content": f"{word} "}
            await _event(writer, model, [{"index": 0, "delta": delta, "finish_reason": None}])
        await _event(writer, model, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        await _event(writer, model, [], usage=USAGE)
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        return False


USAGE = {"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26}


def _completion(model: str, kind: str, choices: list[Any]) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 0, "model": model, "choices": choices}


async def _event(writer: Writer, model: str, choices: list[Any], **more: Any) -> None:
    event = _completion(model, "chat.completion.chunk", choices) | more
    writer.write(f"data: {json.dumps(event)}\n\n".encode())
    await writer.drain()


async def _send(writer: Writer, status: str, body: Mapping[str, Any], extra: str = "") -> bool:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n{extra}\r\n"
    writer.write(head.encode() + content)
    await writer.drain()
    return True

"""Answers a monitor on this machine: is the worker alive, does it take runs, what are its figures."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from engine.errors import ConfigurationError
from engine.operating.metrics import Metrics

HOST = "127.0.0.1"
_PATIENCE_SECONDS = 5.0
_MOST_BYTES = 8192  # of a request
_TEXT, _FIGURES = "text/plain; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8"
_WORDS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@asynccontextmanager
async def answering(metrics: Metrics, port: int) -> AsyncGenerator[int]:
    """Answer on a port of the loopback, 0 being any that is free, and give the port.

    Raises:
        ConfigurationError: somebody else has the port.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError, OSError, ValueError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                asked = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _answer(metrics, asked))
                await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(serve, HOST, port, limit=_MOST_BYTES)
    except OSError as error:
        raise ConfigurationError(f"--health-port {port}: nothing can listen there: {error.strerror}") from error
    watching = asyncio.create_task(metrics.watch_loop())
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        server.close()


async def _answer(metrics: Metrics, asked: bytes) -> bytes:
    method, path, *_ = [*asked.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" "), "", ""]
    if method not in ("GET", "HEAD"):
        return _response(405, "only GET is answered\n", method)
    match path.partition("?")[0]:
        case "/livez":
            return _response(200, "alive\n", method)
        case "/readyz" if metrics.is_ready:
            return _response(200, "ready\n", method)
        case "/readyz":
            why = "draining" if metrics.worker.is_draining else "the ledger has not heard of this worker for long"
            return _response(503, f"{why}\n", method)
        case "/metrics":
            return _response(200, await metrics.text(), method, _FIGURES)
        case _:
            return _response(404, "there are /livez, /readyz and /metrics\n", method)


def _response(code: int, text: str, method: str, kind: str = _TEXT) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {code} {_WORDS[code]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode("ascii") + (b"" if method == "HEAD" else body)

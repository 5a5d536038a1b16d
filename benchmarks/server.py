"""The HTTP API at saturation: requests a second, p95, errors and memory, beside a bare FastAPI address in the same run.

The server is a process of its own, the load comes from this one over kept connections. Then readers that follow runs
and take nothing are held open meanwhile. Errors are answers other than 2xx, and cut connections.

    uv run python benchmarks/server.py --seconds 10 --connections 64
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine import END, START, App, Chain, Compute, State, Worker, Workflow

PAGE = os.sysconf("SC_PAGE_SIZE")
QUEUED = {"workflow": "count", "input": {"count": 1}}


class Count(State):
    """A number."""

    count: int


def count_up(count: int) -> int:
    """Do next to nothing."""
    return count + 1


def serve_api(url: str, up: Connection) -> None:
    """Serve the API with a worker at its side."""
    from engine.server.serve import Serving

    nodes = {"up": Compute(function=count_up, into="count")}
    flow = Workflow(name="count", state=Count, nodes=nodes, edges=[Chain(START, "up", END)])
    app = App(workflows=[flow], database=url)
    worker = Worker(app, concurrency=16, heard=True)
    serving = Serving(app, port=0, worker=worker, on_start=lambda *said: up.send(said))
    asyncio.run(serving.run())


def serve_bare(url: str, up: Connection) -> None:
    """Serve an address that does nothing, with the same server."""
    import socket

    import uvicorn
    from fastapi import FastAPI

    del url
    bare = FastAPI()
    bare.add_api_route("/", lambda: {"status": "ok"})
    bound = socket.create_server(("127.0.0.1", 0))
    up.send((f"http://127.0.0.1:{bound.getsockname()[1]}", ""))
    config = uvicorn.Config(bare, http="h11", ws="none", lifespan="off", log_level="warning", access_log=False)
    asyncio.run(uvicorn.Server(config).serve(sockets=[bound]))


@dataclass
class Load:
    """What one load came to."""

    name: str
    seconds: float = 0.0
    errors: int = 0
    took: list[float] = field(default_factory=list)
    grew_mb: float = 0.0


class Server:
    """A server in a process of its own."""

    def __init__(self, serve, url: str) -> None:
        ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=serve, args=(url, theirs), daemon=True)
        self._process.start()
        address, self.token = ours.recv()
        self.host, port = address.removeprefix("http://").split(":")
        self.port = int(port)

    @property
    def megabytes(self) -> float:
        """The memory that it has now."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * PAGE / 2**20

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """Write a request."""
        text = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.token}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text

    async def ask(self, reader, writer, request: bytes) -> tuple[int, bytes]:
        """Ask over a connection, and give the status and the body."""
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length.split(b":")[1]))

    async def once(self, request: bytes) -> dict:
        """Ask over a connection of its own, and give what is said."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        _, body = await self.ask(reader, writer, request)
        writer.close()
        return json.loads(body)

    async def load(self, name: str, request: bytes, seconds: float, connections: int) -> Load:
        """Ask the same over many connections for a while."""
        load, ends, before = Load(name), time.perf_counter() + seconds, self.megabytes

        async def one() -> None:
            reader, writer = await asyncio.open_connection(self.host, self.port)
            while (began := time.perf_counter()) < ends:
                try:
                    status, _ = await self.ask(reader, writer, request)
                    load.errors += not 200 <= status < 300
                except (OSError, asyncio.IncompleteReadError):
                    load.errors += 1
                    reader, writer = await asyncio.open_connection(self.host, self.port)
                load.took.append(time.perf_counter() - began)
            writer.close()

        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(connections)))
        load.seconds, load.grew_mb = time.perf_counter() - began, self.megabytes - before
        return load

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.join()


async def api_loads(server: Server, seconds: float, connections: int) -> list[Load]:
    """Load the API; twice the same, so that what is only warmed up does not count as growth."""
    made = server.request("POST", "/v1/runs?wait=60", QUEUED)
    run = await server.once(made)
    path = f"/v1/runs/{run['run_id']}"
    look, wait = server.request("GET", path), server.request("GET", f"{path}?wait=0")
    await server.load("", look, seconds / 2, connections)
    loads = [await server.load("look at a run", look, seconds, connections)]
    readers = []
    late = await server.once(server.request("POST", "/v1/runs", QUEUED | {"at": "2100-01-01T00:00:00Z"}))
    for run_id in [run["run_id"], late["run_id"]] * 100:
        readers.append(await asyncio.open_connection(server.host, server.port, limit=1))
        readers[-1][1].write(server.request("GET", f"/v1/runs/{run_id}/events"))
    loads.append(await server.load("the same, 200 streams open", wait, seconds, connections))
    for _, stream in readers:
        stream.close()
    await server.load("", made, seconds / 2, connections)
    loads.append(await server.load("queue, work, wait for the end", made, seconds, connections))
    loads.append(await server.load("queue a run", server.request("POST", "/v1/runs", QUEUED), seconds, connections))
    return loads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--database", help="else an SQLite file")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = chosen.database or f"sqlite:///{folder}/runs.db"
        bare, api = Server(serve_bare, url), Server(serve_api, url)
        peer = asyncio.run(bare.load("bare FastAPI", bare.request("GET", "/"), chosen.seconds, chosen.connections))
        loads = [peer, *asyncio.run(api_loads(api, chosen.seconds, chosen.connections))]
        bare.stop()
        api.stop()
    table = Table("load", "requests/s", "of bare", "p50 ms", "p95 ms", "errors", "memory MB", box=None)
    for load in loads:
        rate, quantiles = len(load.took) / load.seconds, statistics.quantiles(load.took, n=20)
        share = rate / (len(peer.took) / peer.seconds)
        table.add_row(
            load.name, f"{rate:,.0f}", f"{share:.2f}", f"{quantiles[9] * 1e3:.1f}", f"{quantiles[18] * 1e3:.1f}",
            str(load.errors), f"{load.grew_mb:+.1f}",
        )  # fmt: skip
    Console().print(table)
    sys.exit(any(load.errors for load in loads))


if __name__ == "__main__":
    main()

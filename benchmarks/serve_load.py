"""`flowledger serve` under `wrk` at saturation: requests a second, latency, errors, and memory as time goes by.

The real command in a process of its own, with its worker, and a mix of requests: queue a run, look at one, list runs,
read the events of one that has ended. Memory is that of the process, once the first quarter has warmed it up, halfway,
and at the end. Any answer other than 2xx and any cut connection is an error.

    uv run python benchmarks/serve_load.py --seconds 60 --connections 64
    uv run python benchmarks/serve_load.py --postgres postgresql://root@127.0.0.1:5432/test
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from queue_contestants import Flowledger
from queues import fresh
from rich.console import Console
from rich.table import Table

from engine import END, START, App, Chain, Compute, State, Workflow

PAGE = os.sysconf("SC_PAGE_SIZE")
ENDED = 50  # runs that have ended before, to look at
MIX = """
local runs, token, turn = {%(runs)s}, "%(token)s", 0
local heads = {["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json"}
local body = '{"workflow": "count", "input": {"count": 1}}'

function request()
  turn = turn + 1
  local kind, run = turn %% 10, runs[turn %% #runs + 1]
  if kind < 2 then return wrk.format("POST", "/v1/runs", heads, body) end
  if kind < 7 then return wrk.format("GET", "/v1/runs/" .. run, heads) end
  if kind < 9 then return wrk.format("GET", "/v1/runs?limit=20", heads) end
  return wrk.format("GET", "/v1/runs/" .. run .. "/events", heads)
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nJSON{"requests": %%d, "seconds": %%f, "p50": %%f, "p99": %%f, "worst": %%f, ' ..
    '"status": %%d, "cut": %%d, "late": %%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, e.status, e.connect + e.read + e.write, e.timeout))
end
"""


class Count(State):
    """A number."""

    count: int


def count_up(count: int) -> int:
    """Do next to nothing."""
    return count + 1


app = App(
    workflows=[
        Workflow(
            name="count",
            state=Count,
            nodes={"up": Compute(function=count_up, into="count")},
            edges=[Chain(START, "up", END)],
        )
    ]
)


class Server:
    """The command, on a port of its own."""

    def __init__(self, database: str, folder: Path) -> None:
        command = [sys.executable, "-m", "engine.cli.main", "serve", "--with-worker", "--port", "0"]
        place = ["--app", "serve_load:app", "--database", database]
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        self.log = folder / "serve.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, *place], stderr=log, stdout=log, env=os.environ | {"PYTHONPATH": path}
            )
        self.address = self._said(r"serving on (\S+)/v1")
        self.token = self._said(r"token of this session: (\S+)")

    def _said(self, pattern: str) -> str:
        for _ in range(600):
            if found := re.search(pattern, self.log.read_text()):
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit(f"flowledger serve did not start:\n{self.log.read_text()}")

    @property
    def megabytes(self) -> float:
        """The memory that it has now."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE / 2**20

    def made(self) -> str:
        """Have a run made, wait until it has ended, and give its id."""
        body = json.dumps({"workflow": "count", "input": {"count": 1}}).encode()
        heads = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self.address}/v1/runs?wait=30", body, heads)
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)["run_id"]

    def stop(self) -> None:
        """Have it end what it is at; see that it does."""
        self.process.send_signal(signal.SIGTERM)
        if code := self.process.wait(60):
            sys.exit(f"flowledger serve ended with the exit code {code}:\n{self.log.read_text()[-2000:]}")


def load(server: Server, folder: Path, seconds: int, connections: int) -> tuple[dict[str, Any], list[float]]:
    """Load the server, and give what wrk says and what memory the server had, second by second."""
    runs = ", ".join(f'"{server.made()}"' for _ in range(ENDED))
    script = folder / "mix.lua"
    script.write_text(MIX % {"runs": runs, "token": server.token})
    memory: list[float] = []
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(1):
            memory.append(server.megabytes)

    watching = threading.Thread(target=watch)
    watching.start()
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), server.address]
    said = subprocess.run(wrk, capture_output=True, text=True, check=True).stdout
    is_over.set()
    watching.join()
    return json.loads(said.rpartition("JSON")[2]), memory


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--postgres", metavar="URL", help="a database of its own on this server; else an SQLite file")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt-get install wrk")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="serve-load-")))
        made = options.postgres and stack.enter_context(fresh(Flowledger("PostgreSQL"), options.postgres))
        server = Server(made or f"sqlite:///{folder}/runs.db", folder)
        try:
            said, memory = load(server, folder, options.seconds, options.connections)
            server.stop()
        finally:
            server.process.kill()
    errors = said["status"] + said["cut"] + said["late"]
    table = Table(
        "requests/s", "p50 ms", "p99 ms", "worst ms", "requests", "errors", "MB, warm", "halfway", "at the end"
    )
    times = [f"{said[name]:,.1f}" for name in ("p50", "p99", "worst")]
    held = [f"{memory[len(memory) * part // 4 - (part == 4)]:,.0f}" for part in (1, 2, 4)]
    table.add_row(f"{said['requests'] / said['seconds']:,.0f}", *times, f"{said['requests']:,}", str(errors), *held)
    Console(width=120).print(table)
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()

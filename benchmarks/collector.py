"""Spans in a real collector: Phoenix, as a process of its own, is sent a ledger's runs twice and keeps each span once.

uv run --with arize-phoenix python benchmarks/collector.py --runs 50
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from rich.console import Console

from engine.exports.attributes import PROFILES
from engine.exports.otlp import Resource
from engine.exports.send import Collector
from engine.exports.traces import TraceExport
from engine.store.whole_runs import RunsWanted
from tests.cli_app import app

PATIENCE = 180.0  # seconds until it answers; it makes a database of its own first
console = Console(highlight=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def wait_for(url: str) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            urlopen(url, timeout=2).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return


def kept(url: str) -> dict[str, str]:
    """Give what the collector has of each span, by its id."""
    found: dict[str, str] = {}
    cursor = ""
    while True:
        with urlopen(f"{url}/v1/projects/default/spans?limit=500{cursor}") as answer:
            page = json.load(answer)
        found |= {span["context"]["span_id"]: json.dumps(span, sort_keys=True) for span in page["data"]}
        if not page.get("next_cursor"):
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def export_to(url: str, runs: int, folder: str) -> tuple[int, dict[str, str], dict[str, str]]:
    """Run something, send it twice, and give how many spans there are and what the collector has after each time."""
    app.database = f"sqlite:///{folder}/runs.db"
    async with app:
        for number in range(runs):
            await app.run("say" if number % 2 else "tool-raises", {"question": "q"})
        wanted, profile = RunsWanted(), PROFILES["openinference"]
        export = TraceExport(
            ledger=app.ledger, wanted=wanted, resource=Resource("flowledger", "0"), profile=profile, content=True
        )
        after: list[dict[str, str]] = []
        for _ in range(2):
            sent = 0
            began = time.perf_counter()
            async with Collector.at(url, app.clock) as collector:
                async for request, spans, _ended in export.requests():
                    await collector.send(request)
                    sent += spans
            console.print(f"sent {sent:,} spans of {runs:,} runs in {time.perf_counter() - began:.2f} s")
            for _ in range(60):  # it writes what it took a little later
                if len(kept(url)) >= sent:
                    break
                await asyncio.sleep(0.5)
            await asyncio.sleep(2.0)
            after.append(kept(url))
        return sent, after[0], after[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    given = parser.parse_args()
    program = Path(sys.executable).with_name("phoenix")
    if not program.exists():
        sys.exit("Phoenix is not installed here: uv run --with arize-phoenix python benchmarks/collector.py")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"PHOENIX_WORKING_DIR": folder, "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(port)}
        env |= {"PHOENIX_GRPC_PORT": str(free_port()), "PHOENIX_TELEMETRY_ENABLED": "false"}
        with subprocess.Popen(
            [program, "serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        ) as phoenix:
            try:
                wait_for(url)
                sent, first, second = asyncio.run(export_to(url, given.runs, folder))
            finally:
                phoenix.terminate()
    console.print(f"sent {sent:,}; kept {len(first):,} after the first time and {len(second):,} after the second")
    if len(first) != sent or first != second:
        sys.exit("spans were lost, or changed when they were sent again")
    console.print("every span arrived, and nothing changed when all were sent again")


if __name__ == "__main__":
    main()

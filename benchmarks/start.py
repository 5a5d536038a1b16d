"""How soon idle workers start a queued run: by looking alone, told by PostgreSQL's NOTIFY, and told by NATS.

Two worker processes wait; runs are queued one at a time, at moments that chance gives. Measured from when the run is
durable to when its first step begins, in each way in turn, round by round. `asked` is from before the call instead.

    uv run python benchmarks/start.py --runs 30 --rounds 3
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from benchmarks.contestants import fresh_database
from engine import END, START, App, Chain, Compute, State, Worker, Workflow
from engine.store.database import Database

LOOKING = "local"
WORKERS = 2
IDLE_SECONDS = 2.5  # after which a worker looks once a second only


class Work(State):
    """What a run is given."""

    text: str


def length(text: str) -> str:
    """Do next to nothing."""
    return text


ONE = Workflow(
    name="one", state=Work, nodes={"one": Compute(function=length, into="text")}, edges=[Chain(START, "one", END)]
)


def app_on(database: str, dispatcher: str | None) -> App:
    return App(workflows=[ONE], database=database, dispatcher=dispatcher)


async def work(database: str, dispatcher: str) -> None:
    async with app_on(database, dispatcher or None) as app:
        await Worker(app).run()


@contextmanager
def workers(count: int, database: str, dispatcher: str) -> Iterator[None]:
    command = [sys.executable, __file__, "--work", database, dispatcher]
    started = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()


async def queue(database: str, dispatcher: str, runs: int) -> tuple[list[float], list[float]]:
    """Queue runs at moments that chance gives, and say how many milliseconds later each began."""
    chance = random.Random(7)
    asked: dict[str, datetime] = {}
    durable: dict[str, datetime] = {}
    async with app_on(database, dispatcher or None) as app:
        await app.enqueue("one", {"text": "before"})
        while await app.ledger.workers_alive() < WORKERS or await app.ledger.runs(status="queued"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await asyncio.sleep(IDLE_SECONDS)
        for number in range(runs):
            await asyncio.sleep(chance.uniform(0.6, 1.4))
            before = datetime.now(UTC)
            record = await app.enqueue("one", {"text": str(number)})
            asked[record.run_id], durable[record.run_id] = before, datetime.now(UTC)
        await asyncio.sleep(IDLE_SECONDS)
        began = {run_id: (await app.ledger.steps(run_id))[0].started_at for run_id in asked}
    return tuple([(began[one] - since[one]).total_seconds() * 1e3 for one in asked] for since in (durable, asked))


def measure(ways: dict[str, str], runs: int, rounds: int, postgres: str) -> dict[str, dict[str, float]]:
    after_durable: dict[str, list[float]] = defaultdict(list)
    after_asked: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for way, dispatcher in ways.items():
            with fresh_database("PostgreSQL", postgres) as database:
                Database.open(database, migrate=True).close()
                with workers(WORKERS, database, dispatcher):
                    durable, asked = asyncio.run(queue(database, dispatcher, runs))
                after_durable[way] += durable
                after_asked[way] += asked
    return {way: {**figures(after_durable[way]), "asked p95": part(after_asked[way], 95)} for way in ways}


def figures(found: list[float]) -> dict[str, float]:
    return {"p50": part(found, 50), "p95": part(found, 95), "worst": round(max(found), 1)}


def part(found: list[float], percent: int) -> float:
    return round(statistics.quantiles(found, n=100, method="inclusive")[percent - 1], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", default="postgresql://root@127.0.0.1:5432/test")
    parser.add_argument("--nats", default="nats://127.0.0.1:4222")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        asyncio.run(work(*options.work))
        return
    ways = {"looking": LOOKING, "PostgreSQL": "", "NATS": options.nats}
    found = measure(ways, options.runs, options.rounds, options.postgres)
    if options.json:
        print(json.dumps(found))
        return
    table = Table("milliseconds until an idle worker has begun", *next(iter(found.values())))
    for way, row in found.items():
        table.add_row(way, *(str(value) for value in row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()

"""Load against a model server that fails by a script: what became of each run, and what each lever did.

Four parts: a third of the requests fail (429, 500, hang, cut, slow stream); then the first model is down altogether;
then its backup is, too; then all is well again. Half of the runs are listened to, so they stream. Behind the table: how
many requests the first model still got while it was down and left alone, which are the probes, and how the breaker
changed.

    uv run python benchmarks/faults.py --runs 500
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.faulty_server import FAULTS, FaultyServer, Seen
from engine import END, START, App, Breaker, Budget, Chain, Generate, Hedge, Model, Price, Retry, State, Workflow
from engine.records import CallRecord

FIRST, SECOND = "first-model", "second-model"
SHARE = 1 / 3  # of the requests in the first part that fail
RESET_AFTER = 0.5
PARTS = {"faults": 0.6, "down": 0.15, "both down": 0.05, "well": 0.2}  # with the share of the runs


class Asked(State):
    """A question and its answer."""

    question: str
    answer: str = ""


LOAD = Workflow(
    name="load",
    state=Asked,
    nodes={
        "draft": Generate(
            model="large",
            prompt="{question}",
            into="answer",
            max_tokens=50,
            call_seconds=1.5,
            seconds=20,
            retry=Retry(attempts=3, wait=0.05, max_wait=1, share=0.5),
            breaker=Breaker(failures=5, window=5, min_calls=20, failure_rate=0.8, reset_after=RESET_AFTER),
            hedge=Hedge(after=0.7, share=0.1),
        )
    },
    edges=[Chain(START, "draft", END)],
    budget=Budget(tokens=2_000, calls=12, usd="0.01"),
)


@dataclass(slots=True)
class Weather:
    """Which fault the next request meets."""

    part: str = "faults"
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def next(self, model: str) -> str | None:
        """Give a fault, or None."""
        if self.part == "well" or (model == SECOND and self.part != "both down"):
            return None
        if self.part in ("down", "both down"):
            return "500"
        return self.chance.choice(FAULTS) if self.chance.random() < SHARE else None


async def load(runs: int, side_by_side: int, database: str) -> dict[str, Any]:
    """Make the runs, three parts one after another, and read off the ledger what happened."""
    weather = Weather()
    async with FaultyServer(weather.next) as server:
        price = Price(input="1", output="2")
        second = Model(f"openai:{SECOND}", base_url=server.base_url, price=price)
        first = Model(f"openai:{FIRST}", base_url=server.base_url, price=price, backup=second)
        async with App(workflows=[LOAD], models={"large": first}, database=database) as app:
            found: dict[str, Any] = {}
            for part, share in PARTS.items():
                weather.part = part
                if part == "well":
                    await asyncio.sleep(RESET_AFTER)
                before = len(server.seen)
                ids = await _run(app, round(runs * share), side_by_side)
                found[part] = await _told(app, ids)
                seen = server.seen[before:]
                found[part]["requests"] = dict(Counter(f"{one.model} {one.answered}" for one in seen))
                if part == "down":
                    found["while left alone"] = await _while_left_alone(app, seen)
            found["breaker"] = [change for _, change in await _changes(app)]
            return found


async def _run(app: App, runs: int, side_by_side: int) -> list[str]:
    left, ids = iter(range(runs)), list[str]()

    async def one_after_another() -> None:
        for number in left:
            listener = (lambda _: None) if number % 2 else None
            ids.append((await app.run("load", {"question": f"question {number}"}, listener=listener)).run_id)

    await asyncio.gather(*(one_after_another() for _ in range(side_by_side)))
    return ids


async def _told(app: App, ids: list[str]) -> dict[str, Any]:
    """Say how the runs of a part ended, and which lever brought the answers."""
    runs, levers = Counter[str](), Counter[str]()
    failures, overspent = Counter[str](), 0
    for run_id in ids:
        record = await app.ledger.run(run_id)
        calls = await app.ledger.calls(run_id)
        runs["answered" if record.status == "succeeded" else f"{record.status}: {record.error_type}"] += 1
        levers[_lever(calls)] += 1
        failures.update(call.error_type or call.status for call in calls if call.status != "ok")
        overspent += sum(call.charged_tokens for call in calls) > 2_000
    return {"runs": dict(runs), "answered by": dict(levers), "failed attempts": dict(failures), "overspent": overspent}


def _lever(calls: list[CallRecord]) -> str:
    """Say what brought the answer of a run."""
    ok = next((call for call in calls if call.status == "ok"), None)
    if ok is None:
        return "nothing"
    if ok.request_model == SECOND:
        return "the other model, at once" if len(calls) == 1 else "the other model, after retries"
    return "a hedge" if ok.purpose == "hedge" else "the first attempt" if ok.attempt == 1 else "a retry"


async def _while_left_alone(app: App, seen: Sequence[Seen]) -> dict[str, float]:
    """Count what the first model got after its breaker had opened, those apart that were on their way just then."""
    last = (await _changes(app))[-1]
    opened = next((at for at, change in await _changes(app) if change["state"] == "open" and at >= seen[0].at), last[0])
    late = [one for one in seen if one.model == FIRST and one.at > opened + 0.1]
    return {"seconds": round(seen[-1].at - opened, 2), "requests": len(late)}


async def _changes(app: App) -> list[tuple[float, dict[str, Any]]]:
    """Give the history of breakers, off the events of the runs."""
    runs = await app.ledger.runs(limit=100_000)
    events = [event for run in runs for event in await app.ledger.events(run.run_id) if event.name == "breaker_changed"]
    events.sort(key=lambda event: event.emitted_at)
    return [(event.emitted_at.timestamp(), await app.ledger.value(event.data_payload)) for event in events]


def show(found: Mapping[str, Any]) -> None:
    """Print what happened, part by part."""
    table = Table("", "runs", "answered by", "failed attempts", "requests that the server saw")
    for part in PARTS:
        row = found[part]
        cells = (row["runs"], row["answered by"], row["failed attempts"], row["requests"])
        table.add_row(part, *("\n".join(f"{count:,} {what}" for what, count in sorted(cell.items())) for cell in cells))
    console = Console()
    console.print(table)
    alone = found["while left alone"]
    console.print(f"while the first model was left alone: {alone['requests']} requests in {alone['seconds']} s")
    changes = Counter(f"{change['target']} {change['state']}" for change in found["breaker"])
    console.print(", ".join(f"{count} x {what}" for what, count in changes.items()))


def main() -> None:
    """Read the options, make the load, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--side-by-side", type=int, default=25)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(load(options.runs, options.side_by_side, f"sqlite:///{folder}/runs.db"))
    print(json.dumps(found, indent=2)) if options.json else show(found)


if __name__ == "__main__":
    main()

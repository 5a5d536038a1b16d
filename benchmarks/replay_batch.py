"""Failed runs of a broken prompt replayed with the mended one: the estimate beside the bill, and what the table says.

uv run python benchmarks/replay_batch.py --failed 200
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engine import App, Model, Price, Workflow
from engine.replay.batch import HowToReplay
from engine.replay.changes import Changes
from engine.store.replay_batches import Selection
from engine.testing import ScriptedModel
from workflows.triage import triage

BROKEN = Changes.of(["prompt.sort=Write a poem about {message}"]).applied_to(triage)


def sorts(messages: Any) -> Any:
    """Sort what it is told to sort; a poem is no category."""
    said = " ".join(str(message.content) for message in messages)
    return "roses are red" if "poem" in said else {"category": "question"}


def app_of(workflow: Workflow, database: str) -> tuple[App, ScriptedModel]:
    model = ScriptedModel(script=[sorts], input_tokens=120, output_tokens=12)
    models = {"small": Model(model, price=Price(input="1", output="4"))}
    return App(workflows=[workflow], models=models, database=database), model


async def measure(failed: int, database: str) -> None:
    """Break, fail, mend, estimate, replay, print."""
    for workflow, count in ((triage, 20), (BROKEN, failed)):
        app, _ = app_of(workflow, database)
        async with app:
            for number in range(count):
                await app.run("triage", {"message": f"How does it go, number {number}?"})
    app, model = app_of(triage, database)
    async with app:
        runs = await app.select_runs(Selection(status="failed", workflow="triage"))
        began = time.perf_counter()
        expected = await app.estimate(runs, HowToReplay())
        between = time.perf_counter()
        batch = await app.begin_replays(runs, HowToReplay())
        table = await app.replay_all(batch.batch_id)
        ended = time.perf_counter()
    spent, thought = table.spent_nano_usd or 0, expected.nano_usd or 0
    print(f"{len(runs)} failed runs: {table.counts}")
    print(f"asked {len(model.asked)} times; {table.total('played')} attempts were played")
    print(f"estimate ${thought / 1e9:.6f}, spent ${spent / 1e9:.6f}: {thought / spent:.2f} of it")
    print(f"interval ${(expected.low or 0) / 1e9:.6f} to ${(expected.high or 0) / 1e9:.6f}")
    print(f"estimated in {between - began:.2f} s, replayed in {ended - between:.2f} s")


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--failed", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # the tickets are written here
        asyncio.run(measure(options.failed, f"sqlite:///{folder}/runs.db"))


if __name__ == "__main__":
    main()

"""CPU of a recorded replay of a long run, beside the run itself: 200 steps that each ask a model, on SQLite in a file.

uv run python benchmarks/replay.py --steps 200 --rounds 5
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time

from engine import END, START, App, Chain, Generate, Model, Price, State, Workflow
from engine.testing import ScriptedModel


class Asked(State):
    """A question and its last answer."""

    question: str
    answer: str = ""


def row_of(steps: int) -> Workflow:
    """Give a workflow of so many nodes in a row, each of which asks something else."""
    names = [f"step-{number}" for number in range(steps)]
    nodes = {
        name: Generate(model="large", prompt=f"{name}: {{question}} {{answer}}", into="answer", max_tokens=50)
        for name in names
    }
    return Workflow(name="row", state=Asked, nodes=nodes, edges=[Chain(START, *names, END)])


async def measure(steps: int, rounds: int, database: str) -> dict[str, float]:
    """Run and replay in turn; give medians of CPU milliseconds for twenty steps."""
    model = Model(ScriptedModel(script=["an answer of a few words"]), price=Price(input="1", output="1"))
    cpu: dict[str, list[float]] = {"run": [], "replay": []}
    async with App(workflows=[row_of(steps)], models={"large": model}, database=database) as app:
        for number in range(rounds + 1):
            began = time.process_time()
            result = await app.run("row", {"question": "why?"})
            between = time.process_time()
            replayed = await app.replay(result.run_id)
            ended = time.process_time()
            if replayed.difference is not None or replayed.played != steps:
                raise SystemExit(f"the replay differs: {replayed.difference}")
            if number:  # the first round warms up
                cpu["run"].append((between - began) * 1000 / steps * 20)
                cpu["replay"].append((ended - between) * 1000 / steps * 20)
    return {name: statistics.median(every) for name, every in cpu.items()}


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(options.steps, options.rounds, f"sqlite:///{folder}/runs.db"))
    if options.json:
        print(json.dumps(found))
        return
    for name, milliseconds in found.items():
        print(f"{name:8}{milliseconds:7.1f} ms of CPU for twenty steps")
    print(f"replay to run: {found['replay'] / found['run']:.2f}")


if __name__ == "__main__":
    main()

"""How often the gate cries wolf and how often it sees one, on recorded runs of gpt-4o on tau-bench's airline tasks.

Run: uv run python benchmarks/gate.py [--splits 1000]

The trials of each task are split at random into a baseline and a candidate: nothing differs, so every FAIL is false.
Then passes of the candidate are made to fail until it is 20 points worse. A gate that fails on a drop of more than 2
points is printed beside. Last, a gate that may buy trials: trials are drawn by the rates of the file.
"""

import argparse
import gzip
import json
import math
import random
import sys
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engine.evals.allocation import LOOKS, allocate
from engine.evals.gate import Decision, Gate, Policy, Side, decide
from engine.statistics.intervals import clustered_mean
from engine.statistics.trials import pass_hat_k
from tests.public_data import EVALUATION

FILE = EVALUATION / "dev" / "trajectories_tau_airline_gpt4o.jsonl.gz"
Rewards = dict[str, list[float]]


def rewards() -> Rewards:
    found: Rewards = defaultdict(list)
    with gzip.open(FILE, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            found[str(row["task_id"])].append(float(row["reward"]))
    return dict(found)


def figures(found: Rewards) -> None:
    """Say pass^k and the error of the mean, by the engine and straight from the file."""
    values = [value for trials in found.values() for value in trials]
    mean = clustered_mean(values, [task for task, trials in found.items() for _ in trials])
    counts = [(round(sum(trials)), len(trials)) for trials in found.values()]
    for k in range(1, 5):
        drawn = [fmean(all(chosen) for chosen in combinations(trials, k)) for trials in found.values()]
        agree("pass^" + str(k), pass_hat_k(counts, k) or 0.0, fmean(drawn))
    means = [fmean(trials) for trials in found.values()]
    agree("clustered error", mean.error or 0.0, stdev(means) / math.sqrt(len(means)))
    agree("naive error", mean.naive_error or 0.0, stdev(values) / math.sqrt(len(values)))


def agree(name: str, ours: float, theirs: float) -> None:
    same = "equal" if math.isclose(ours, theirs, rel_tol=1e-12) else "DIFFERENT"
    print(f"{name:16} {ours:.4f}  from the file {theirs:.4f}  {same}")


def split(found: Rewards, chance: random.Random, suite: list[str], drop: float) -> tuple[Side, Side]:
    """Give two halves of the trials of a suite; `drop` is the share of the candidate's passes that fail instead."""
    before: Rewards = {}
    after: Rewards = {}
    for number, task in enumerate(suite):
        trials = chance.sample(found[task], len(found[task]))
        half = len(trials) // 2
        before[f"{number}:{task}"] = trials[:half]
        after[f"{number}:{task}"] = [value * (chance.random() >= drop) for value in trials[half:]]
    return Side(metrics={"reward": before}), Side(metrics={"reward": after})


def rates(found: Rewards, splits: int, size: int | None, drop: float) -> None:
    counts: dict[str, int] = defaultdict(int)
    for seed in range(splits):
        chance = random.Random(seed)
        suite = sorted(found) if size is None else chance.choices(sorted(found), k=size)
        gate: Gate = decide(*split(found, chance, suite, drop))
        counts[gate.decision] += 1
        counts["naive"] += gate.metrics[0].effect < -0.02
    shares = "  ".join(f"{name} {counts[name] / splits:6.1%}" for name in Decision)
    what = "nothing changed " if not drop else "20 points worse "
    tasks = f"{len(found)} tasks" if size is None else f"{size} drawn"
    print(f"{what} {tasks:9} x 2 trials: {shares}   naive drop > 2 points {counts['naive'] / splits:6.1%}")


def buying(found: Rewards, splits: int, points: float) -> None:
    """Draw trials by the rates of the file, twice a side, and buy as many again where the first look does not tell."""
    rates = {task: fmean(trials) for task, trials in found.items()}
    drop = points / fmean(rates.values())
    counts: dict[str, int] = defaultdict(int)
    for seed in range(splits):
        chance = random.Random(seed)

        def drawn(task: str, many: int, drop: float, chance: random.Random = chance) -> list[float]:
            return [float(chance.random() < rates[task] * (1 - drop)) for _ in range(many)]

        before = {task: drawn(task, 2, 0) for task in rates}
        after = {task: drawn(task, 2, drop) for task in rates}
        one, other = Side(metrics={"reward": before}), Side(metrics={"reward": after})
        gate = decide(one, other, Policy(spends=LOOKS[0]))
        if gate.decision is Decision.INCONCLUSIVE:
            for task, many in allocate(one, other, ["reward"], 2 * len(rates)).items():
                before[task] += drawn(task, many, 0)
                after[task] += drawn(task, many, drop)
            gate = decide(one, other, Policy(spends=LOOKS[1]))
        counts[gate.decision] += 1
    shares = "  ".join(f"{name} {counts[name] / splits:6.1%}" for name in Decision)
    print(f"{points * 100:.0f} points worse, {len(rates)} tasks, {2 * len(rates)} trials to buy a side: {shares}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=1_000)
    splits = parser.parse_args().splits
    if not FILE.exists():
        sys.exit(f"the public data is not there: {FILE}")
    found = rewards()
    figures(found)
    share = 0.2 / fmean(value for trials in found.values() for value in trials)
    for size in (None, 15, 30, 50):
        for drop in (0.0, share):
            rates(found, splits, size, drop)
    for points in (0.0, 0.1, 0.2):
        buying(found, splits, points)


if __name__ == "__main__":
    main()

"""On recorded runs of gpt-4o on tau-bench's airline tasks the gate keeps its word, and its figures are the file's."""

import gzip
import json
import math
import random
from collections import defaultdict
from itertools import combinations
from statistics import fmean, stdev

import pytest

from engine.evals.gate import Decision, Side, decide
from engine.statistics.intervals import clustered_mean
from engine.statistics.trials import pass_hat_k
from tests.public_data import EVALUATION

FILE = EVALUATION / "dev" / "trajectories_tau_airline_gpt4o.jsonl.gz"


@pytest.fixture(scope="module")
def trials():
    """Give the rewards of each task."""
    if not FILE.exists():
        pytest.skip(f"the public data is not there: {FILE}")
    found = defaultdict(list)
    with gzip.open(FILE, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            found[row["task_id"]].append(float(row["reward"]))
    return found


def test_figures_are_those_of_the_file(trials):
    counts = [(round(sum(one)), len(one)) for one in trials.values()]
    for k in range(1, 5):
        every = fmean(fmean(all(chosen) for chosen in combinations(one, k)) for one in trials.values())
        assert math.isclose(pass_hat_k(counts, k), every)
    mean = clustered_mean([one for those in trials.values() for one in those], [t for t in trials for _ in range(4)])
    assert math.isclose(mean.error, stdev(map(fmean, trials.values())) / math.sqrt(len(trials)))


@pytest.mark.parametrize(("drop", "fewest", "most"), [(0.0, 0, 10), (0.467, 70, 100)])
def test_splits_of_the_same_fail_rarely_and_of_a_candidate_20_points_worse_mostly(trials, drop, fewest, most):
    def fails(seed):
        chance = random.Random(seed)
        before, after = {}, {}
        for number, task in enumerate(chance.choices(sorted(trials), k=50)):
            mixed = chance.sample(trials[task], 4)
            before[str(number)] = mixed[:2]
            after[str(number)] = [reward * (chance.random() >= drop) for reward in mixed[2:]]
        return decide(Side(metrics={"r": before}), Side(metrics={"r": after})).decision is Decision.FAIL

    assert fewest <= sum(map(fails, range(100))) <= most

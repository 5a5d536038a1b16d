"""Trajectories are imported from the command line; the public ones come to the figures of their file."""

import gzip
import json
import math
from collections import defaultdict
from itertools import combinations
from statistics import fmean, stdev

import pytest

from tests.public_data import EVALUATION

AIRLINE = EVALUATION / "dev" / "trajectories_tau_airline_gpt4o.jsonl.gz"
MINE = {"task": "t1", "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}
TAU = {
    "task_id": 4,
    "reward": 1.0,
    "info": {"task": {"instruction": "Cancel it.", "actions": [{"name": "cancel", "kwargs": {"id": "X"}}]}},
    "traj": [
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "cancel", "arguments": '{"id": "X"}'}}]},
        {"role": "tool", "tool_call_id": "c", "name": "cancel", "content": "Error: no such booking"},
    ],
}


def written(path, *rows):
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path.name


def test_a_file_of_trajectories_is_shown_as_an_experiment_and_as_runs(flowledger, tmp_path):
    file = written(tmp_path / "mine.jsonl", {**MINE, "reward": 1, "scores": {"kind": 0.5}}, {**MINE, "success": False})
    imported = json.loads(flowledger("eval", "import", file, "--workflow", "chat", "--json").out)
    assert (imported["runs"], imported["name"], imported["trials"]) == (2, "mine.jsonl", 2)
    assert {row["metric"]: row["mean"] for row in imported["metrics"]} == {"reward": 0.5, "kind": 0.5}
    runs = json.loads(flowledger("runs", "--json").out)
    assert "outcome: success" in flowledger("show", runs[0]["run_id"]).out + flowledger("show", runs[1]["run_id"]).out
    assert "0 runs written, 2 were there before" in flowledger("eval", "import", file, "--workflow", "chat").out


def test_results_of_tau_bench_are_read_as_its_runs_write_them(flowledger, tmp_path):
    (tmp_path / "tau.json").write_text(json.dumps([TAU]), encoding="utf-8")
    assert flowledger("eval", "import", "tau.json", "--format", "tau-bench", "--dataset", "airline").code == 0
    (case,) = json.loads(flowledger("dataset", "show", "airline", "--json").out)
    assert case["expect"] == {"tools": [{"name": "cancel", "arguments": {"id": "X"}}]}
    (run,) = json.loads(flowledger("runs", "--json").out)
    shown = json.loads(flowledger("show", run["run_id"], "--json").out)
    assert "cancel" in [call["target"] for call in shown["calls"]]
    assert json.loads(flowledger("health", "--json").out)["calls"] == 0, "it is no traffic"


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        ([], (), "there is no trajectory in it"),
        (["text"], (), "one JSON object is expected"),
        ([{"task": "a"}], (), "messages"),
        ([{**MINE, "reward": 7}], (), "reward"),
        ([{**MINE, "colour": "red"}], (), "colour"),
        ([{**MINE, "messages": [{"role": "robot"}]}], (), "its role is 'robot'"),
        ([MINE], ("--format", "tau-bench"), "has a task_id"),
        ([MINE], ("--workflow", " "), "has a name"),
    ],
)
def test_what_is_no_trajectory_is_said_in_a_sentence(flowledger, tmp_path, rows, more, said):
    found = flowledger("eval", "import", written(tmp_path / "odd.jsonl", *rows), *more)
    assert (found.code, said in found.err, "Traceback" in found.err) == (2, True, False), found.err


@pytest.mark.parametrize(
    ("name", "data"),
    [("damaged.jsonl.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\xff" * 20), ("deep.json", b"[" * 200_000)],
)
def test_a_damaged_file_is_said(flowledger, tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    found = flowledger("eval", "import", str(tmp_path / name), "--workflow", "airline")
    assert (found.code, name in found.err, "Traceback" in found.err) == (2, True, False)


def test_a_file_that_is_not_there_is_said(flowledger):
    said = flowledger("eval", "import", "nowhere.jsonl").err
    assert "the file nowhere.jsonl cannot be read: No such file or directory\n" in said


def test_a_judge_among_the_scores_is_held_against_the_outcomes(flowledger, tmp_path):
    rows = [
        {**MINE, "task": n, "input": {"n": n}, "scores": {"polite": n % 2}, "success": n % 3 > 0} for n in range(12)
    ]
    assert flowledger("eval", "import", written(tmp_path / "some.jsonl", *rows), "--name", "some").code == 0
    shown = flowledger("eval", "judge", "some", "polite")
    assert (shown.code, "kappa" in shown.out, "recall" in shown.out) == (0, True, True)
    assert json.loads(flowledger("eval", "judge", "some", "polite", "--json").out)["agreed"]["of"] == 12
    assert "has no metric" in flowledger("eval", "judge", "some", "kind").err


@pytest.mark.skipif(not AIRLINE.exists(), reason=f"the public data is not there: {AIRLINE}")
def test_the_public_trajectories_come_to_the_figures_of_their_file(flowledger):
    found = json.loads(flowledger("eval", "import", str(AIRLINE), "--format", "tau-bench", "--json").out)
    rewards = defaultdict(list)
    with gzip.open(AIRLINE, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            rewards[row["task_id"]].append(row["reward"])
    steady = [fmean(fmean(map(all, combinations(those, k))) for those in rewards.values()) for k in range(1, 5)]
    means = [fmean(those) for those in rewards.values()]
    (metric,) = found["metrics"]
    assert (found["runs"], metric["cases"]) == (84, len(rewards))
    assert metric["pass_hat"] == pytest.approx(steady, abs=1e-12)
    assert (metric["mean"], metric["error"]) == pytest.approx((fmean(means), stdev(means) / math.sqrt(21)), abs=1e-12)

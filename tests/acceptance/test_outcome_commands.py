"""What became of runs is said, shown and priced from the command line."""

import csv
import io
import json

import pytest


@pytest.fixture
def ran(flowledger):
    """Give a run that succeeded."""
    return json.loads(flowledger("run", "say", "question=q", "--tenant", "acme", "--json").out)["run_id"]


def test_an_outcome_is_said_shown_and_priced(flowledger, ran):
    flowledger("run", "say", "question=q", "--tenant", "acme")
    said = flowledger("outcome", "set", ran, "success", "--value", "12.5", "--note", "[kept]")
    assert (said.code, said.out) == (0, f"{ran} outcome: success\n")
    shown = flowledger("outcome", "show", ran).out
    assert all(word in shown for word in ("success", "12.5", "person", "[kept]"))
    assert "outcome: success  worth 12.5  by person" in flowledger("show", ran).out
    assert json.loads(flowledger("show", ran, "--json").out)["outcomes"][0]["value"] == 12.5
    (row,) = json.loads(flowledger("cost", "--per-outcome", "--by", "tenant", "--json").out)
    assert (row["tenant"], row["runs"], row["judged"], row["successes"]) == ("acme", 2, 1, 1)
    assert float(row["usd_per_success"]) == pytest.approx(float(row["cost_usd"]))
    table = flowledger("cost", "--per-outcome", "--by", "tenant").out
    assert "acme" in table
    assert "per success" in table
    rows = list(csv.DictReader(io.StringIO(flowledger("cost", "--per-outcome", "--csv").out)))
    assert rows[0]["successes"] == "1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["outcome", "set", "ffff", "success"], "no run has the id"),
        (["outcome", "show", "ffff"], "no run has the id"),
        (["outcome", "set", "RUN", "success", "--value", "nan"], "is a number"),
        (["outcome", "set", "RUN", "maybe"], "'success', 'failure'"),
        (["cost", "--per-outcome", "--by", "model"], "outcomes are counted by"),
        (["cost", "--per-outcome", "--plot"], "has no bars"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(flowledger, ran, arguments, said):
    found = flowledger(*(ran if word == "RUN" else word for word in arguments))
    assert (found.code, said in found.err, "Traceback" in found.err) == (2, True, False)

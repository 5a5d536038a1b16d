"""Workflows are tried on datasets and files from the command line, gone on with, and scored anew."""

import json
from xml.etree import ElementTree

import pytest


@pytest.fixture
def cases(tmp_path):
    lines = [{"input": {"question": f"What is {word}?"}, "expect": {"answer": "a good answer"}} for word in "abc"]
    (tmp_path / "cases.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return "cases.jsonl"


SCORE = ("--score", "tests.unit.evals.worlds:is_short")


def test_a_file_is_tried_shown_and_scored_anew(flowledger, cases):
    ran = flowledger("eval", "run", "say", cases, "--trials", "2", "--name", "nightly")
    assert (ran.code, "6 of 6 trials" in ran.out, "succeeded" in ran.out) == (0, True, True)
    scored = json.loads(flowledger("eval", "score", "nightly", *SCORE, "--json").out)
    metrics = {row["metric"]: row for row in scored["metrics"]}
    assert (metrics["succeeded"]["mean"], metrics["is-short"]["mean"], metrics["is-short"]["trials"]) == (1, 0, 6)
    assert json.loads(flowledger("eval", "show", "nightly", "--json").out)["metrics"] == scored["metrics"]
    assert "1.000 1.000" in flowledger("eval", "show", "nightly").out
    assert len(json.loads(flowledger("runs", "--json").out)) == 6
    (one,) = json.loads(flowledger("eval", "list", "--json").out)
    assert (one["name"], one["trials"], one["dataset"].startswith("cases.jsonl@")) == ("nightly", 2, True)
    assert "nightly" in flowledger("eval", "list").out


def test_what_its_budget_leaves_undone_is_gone_on_with(flowledger, cases, tmp_path):
    (tmp_path / "prompt.md").write_text("Again: {question}", encoding="utf-8")
    change = ("--set", "node.node.max_tokens=6", "--set", "prompt.node=@prompt.md")
    left = flowledger("eval", "run", "short", cases, "--max-cost", "0.0000005", "--json", *change)
    found = json.loads(left.out)
    assert (left.code, found["done"], "does not suffice" in found["stopped"]) == (1, 0, True)
    assert "flowledger eval resume" in left.err
    rest = json.loads(flowledger("eval", "resume", found["experiment_id"], "--max-cost", "0.000002", "--json").out)
    assert (rest["done"], rest["total"], rest["settings"][1]) == (3, 3, "prompt.node=Again: {question}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "say", "nowhere"], "no dataset"),
        (["run", "say", "nowhere.jsonl"], "cannot be read"),
        (["run", "nobody", "cases.jsonl"], "no workflow"),
        (["run", "say", "cases.jsonl", "--max-cost", "1"], "has no budget in USD"),
        (["run", "say", "cases.jsonl", "--score", "nowhere:none"], "cannot be imported"),
        (["run", "say", "cases.jsonl", "--set", "colour=red"], "write model.ROLE=SPEC"),
        (["show", "nothing"], "no experiment"),
        (["resume", "nothing"], "no experiment"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(flowledger, cases, arguments, said):
    found = flowledger("eval", *arguments)
    assert (found.code, said in found.err, "Traceback" in found.err) == (2, True, False)


@pytest.fixture
def tried(flowledger, tmp_path):
    """Give three experiments: one, the same again, and a worse one."""
    lines = [{"input": {"question": f"What is <b>{number}</b>?"}, "must_pass": not number} for number in range(70)]
    (tmp_path / "many.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    for name, workflow in (("before", "say"), ("same", "say"), ("worse", "tool-raises")):
        flowledger("eval", "run", workflow, "many.jsonl", "--name", name)


def test_the_gate_is_an_exit_code_and_reports_that_stand_alone(flowledger, tried, tmp_path):
    files = [str(tmp_path / name) for name in ("gate.xml", "gate.md", "gate.html")]
    written = ("--junit", files[0], "--markdown", files[1], "--html", files[2])
    passed = flowledger("eval", "gate", "before", "same", "--usd-per-run", "1", "--p95", "60")
    assert (passed.code, "PASS" in passed.out) == (0, True)
    failed = flowledger("eval", "gate", "before", "worse", *written)
    assert (failed.code, "surely down" in failed.out, "must pass and does not" in failed.out) == (1, True, True)
    suite = ElementTree.parse(files[0]).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "2", "0")
    assert "| succeeded | FAIL | 70 (0 better, 70 worse) | 1.000 | 0.000 |" in (tmp_path / "gate.md").read_text()
    page = (tmp_path / "gate.html").read_text()
    assert all(word in page for word in ("<svg", "FAIL", "succeeded"))
    assert not any(word in page for word in ("http:", "https:", "<script", "src="))
    plain = json.loads(flowledger("eval", "gate", "before", "same", "--metric", "other", "--json").out)
    assert (plain["decision"], plain["metrics"][0]["low"]) == ("INCONCLUSIVE", None)
    assert flowledger("eval", "gate", "before", "same", "--margin", "0.01").code == 4
    for arguments, said in (
        (["--margin", "2"], "--margin is between"),
        (["--at-least", "good"], "write a metric and a share"),
        (["--junit", "nowhere/gate.xml"], "cannot be written"),
    ):
        refused = flowledger("eval", "gate", "before", "same", *arguments)
        assert (refused.code, said in refused.err) == (2, True)

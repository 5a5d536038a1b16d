"""The command line: run a workflow, look at it, add up what it cost."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest


def test_a_run_prints_one_object_for_programs(flowledger):
    ran = flowledger("run", "ask", "question=How long do refunds take?", "--json", "--tenant", "acme", "--user", "u1")
    assert ran.code == 0
    result = json.loads(ran.out)
    assert list(result) == [
        "run_id",
        "workflow",
        "version",
        "status",
        "output",
        "error",
        "usage",
        "cost_usd",
        "steps",
        "calls",
        "duration_s",
    ]
    assert result["output"]["answer"] == "good enough"
    assert result["usage"] == {"input_tokens": 10, "output_tokens": 5}
    assert result["cost_usd"] == "0.000015"
    assert ran.err == ""


def test_a_run_prints_its_output_for_people_and_how_it_went_beside_it(flowledger):
    ran = flowledger("run", "say", "question=hi", "--no-stream")
    assert "a good answer" in ran.out
    assert "succeeded" in ran.err
    assert "succeeded" not in ran.out


def test_a_streamed_run_shows_steps_and_text_as_they_come(flowledger):
    ran = flowledger("run", "ask", "question=refunds", "--stream")
    assert "good enough" in ran.out
    assert ran.out.count("good enough") == 1
    assert [name for name in ("find", "draft", "check") if name in ran.err] == ["find", "draft", "check"]


def test_the_events_of_a_run_are_lines_for_programs(flowledger):
    ran = flowledger("run", "ask", "question=refunds", "--events", "--tenant", "acme")
    events = [json.loads(row) for row in ran.out.splitlines()]
    assert ran.code == 0
    assert ran.err == ""
    assert [event["seq"] for event in events if "-" not in event["cursor"]] == list(range(1, len(events)))
    assert (events[0]["event"], events[0]["workflow"]) == ("run_started", "ask")
    assert "".join(event["text"] for event in events if event["event"] == "text_delta") == "good enough"
    assert events[-1]["event"] == "run_finished"
    assert events[-1]["result"]["output"]["answer"] == "good enough"


def test_the_events_of_a_run_that_fails_end_with_why(flowledger):
    ran = flowledger("run", "tool-raises", "question=hi", "--events")
    assert ran.code == 1
    assert "the disk is gone" in json.loads(ran.out.splitlines()[-1])["result"]["error"]["message"]


def test_the_input_may_come_from_a_file_or_from_standard_input(flowledger, tmp_path, monkeypatch):
    (tmp_path / "input.json").write_text('{"question": "from the file", "count": 3}')
    ran = flowledger("run", "say", "--input", "input.json", "count=4", "--json")
    assert json.loads(ran.out)["output"]["question"] == "from the file"
    assert json.loads(ran.out)["output"]["count"] == 4
    monkeypatch.setattr(sys, "stdin", StringIO('{"question": "from outside"}'))
    assert json.loads(flowledger("run", "say", "--input", "-", "--json").out)["output"]["question"] == "from outside"


def test_a_run_goes_on_with_a_conversation_inside_its_sub_workflow_and_what_was_left_out_is_shown(flowledger):
    for question in ("one " * 20, "two " * 20, "three"):
        ran = flowledger("run", "talks", f"question={question}", "--conversation", "c", "--json")
    run_id = json.loads(ran.out)["run_id"]
    assert "left out  turns 1" in flowledger("show", run_id).out
    whole = json.loads(flowledger("show", run_id, "--json").out)
    assert whole["run"]["conversation_id"] == "c"
    assert list(whole["left_out"].values()) == [{"turns": 1}]
    other = json.loads(flowledger("run", "talks", "question=four", "--conversation", "d", "--json").out)["run_id"]
    assert "left out" not in flowledger("show", other).out


def test_runs_are_listed_and_shown(flowledger):
    run_id = json.loads(flowledger("run", "ask", "question=refunds", "--json").out)["run_id"]
    flowledger("run", "tool-raises", "question=q")
    listed = flowledger("runs", "--since", "1d")
    assert run_id in listed.out
    assert "tool-raises" in listed.out
    failed = json.loads(flowledger("runs", "--status", "failed", "--json").out)
    assert [run["workflow"] for run in failed] == ["tool-raises"]
    shown = flowledger("show", run_id[-10:])
    for part in (
        "find",
        "retrieval tests.flows:search",
        "draft",
        "chat large = engine:scripted",
        "10 + 5 tokens",
        "$0.000015",
    ):
        assert part in shown.out, part
    whole = json.loads(flowledger("show", run_id, "--json", "--payloads").out)
    assert [step["node_name"] for step in whole["steps"]] == ["find", "draft", "check"]
    assert {"answer": "good enough"} in whole["payloads"].values()


def test_costs_are_added_up(flowledger):
    flowledger("run", "say", "question=q", "--tenant", "acme")
    table = flowledger("cost", "--by", "tenant,model")
    assert "acme" in table.out
    assert "$0.000015" in table.out
    (row,) = json.loads(flowledger("cost", "--by", "workflow", "--json").out)
    assert (row["workflow"], row["calls"], row["cost_usd"]) == ("say", 1, "0.000015")


def test_workflows_are_checked_with_their_worst_case(flowledger):
    facts = json.loads(flowledger("check", "say", "--json").out)
    assert facts[0]["model_calls"] == 2
    assert "say (good)" not in facts[0]["unbounded"] or facts[0]["worst_case_usd"] is None
    assert "unbounded: no length or price known for node (good)" in flowledger("check", "say").out
    assert flowledger("check", "say", "--mermaid").out.startswith("flowchart TD")


def test_the_ledger_says_where_it_is(flowledger):
    flowledger("run", "say", "question=q")
    facts = json.loads(flowledger("db", "status", "--json").out)
    assert facts["schema"] == facts["needed"]
    assert "the schema was up to date" in flowledger("db", "upgrade").out
    fresh = flowledger("db", "status", "--json", "--database", "sqlite:///fresh.db")
    assert json.loads(fresh.out)["schema"] is None


def test_a_schema_that_cannot_be_upgraded_is_one_sentence(flowledger, tmp_path):
    with closing(sqlite3.connect(tmp_path / "newer.db")) as newer, newer:
        newer.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        newer.execute("INSERT INTO alembic_version VALUES ('9999')")
    for database, said in (
        (f"sqlite:///{tmp_path}/newer.db", "has the schema 9999, which this flowledger does not know"),
        ("sqlite:////dev/null", "cannot be used: disk I/O error: see that the disk is sound"),
    ):
        ran = flowledger("db", "upgrade", "--database", database)
        assert ran.code == 3
        assert said in ran.err
        assert ran.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_and_version_are_there(flowledger, arguments):
    assert flowledger(*arguments).code == 0


SLOW = """
import asyncio
from engine import END, START, App, CallTool, Chain, State, Workflow

class Work(State):
    text: str
    out: str = ""

async def hang(text: str) -> str:
    print("hanging", flush=True)
    await asyncio.Event().wait()
    return text

node = CallTool(tool=hang, args={"text": "text"}, into="out")
slow = Workflow(name="slow", state=Work, nodes={"hang": node}, edges=[Chain(START, "hang", END)])
app = App(workflows=[slow])
"""


def test_an_interrupted_run_is_recorded_as_cancelled(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "engine.cli.main", "run", "slow", "text=x", "--app", "slow:app"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), "FLOWLEDGER_DATABASE": "sqlite:///runs.db"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - a shell may have it ignored
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "hanging\n"
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=120)
    assert running.returncode == 130
    assert err == "flowledger: interrupted; the run is recorded as cancelled\n"
    with sqlite3.connect(tmp_path / "runs.db") as ledger:
        rows = [ledger.execute(f"SELECT status FROM {table}").fetchall() for table in ("runs", "steps", "calls")]
    ledger.close()
    assert rows == [[("cancelled",)], [("cancelled",)], [("unknown",)]], "what a tool that was cut off did is not known"


def test_breakers_are_shown_and_reset(flowledger):
    assert flowledger("breakers", "show").out == "no breaker has opened\n"
    assert json.loads(flowledger("breakers", "show", "--json").out) == []
    assert flowledger("breakers", "reset", "--all").out == "0 breakers closed\n"
    unknown = flowledger("breakers", "reset", "openai:none")
    assert (unknown.code, "the breaker of 'openai:none' is not open" in unknown.err) == (2, True)
    assert "name one target, or say --all" in flowledger("breakers", "reset").err


def test_caches_are_shown_and_emptied(flowledger):
    assert flowledger("cache", "show").out == "nothing is kept\n"
    assert json.loads(flowledger("cache", "show", "--json").out) == []
    assert flowledger("cache", "clear", "--workflow", "say").out == "0 entries forgotten\n"


def test_windows_of_spend_limits_are_shown(flowledger):
    assert flowledger("spend").out == "nothing was spent under a limit\n"
    assert json.loads(flowledger("spend", "--json").out) == []


def test_what_a_stopped_run_may_spend_is_raised(flowledger):
    ran = json.loads(flowledger("run", "short", "question=q", "--json").out)
    run_id = ran["run_id"]
    assert ran["status"] == "budget_exceeded"
    both = flowledger("resume", run_id, "--usd", "1", "--add-budget", "1")
    assert (both.code, "or --add-budget, what it may cost on top" in both.err) == (2, True)
    assert "--add-budget 'much' is not an amount" in flowledger("resume", run_id, "--add-budget", "much").err
    assert flowledger("resume", run_id, "--add-budget", "1").code == 0
    poor = json.loads(flowledger("run", "poor", "question=q", "--json").out)
    assert "no budget in USD to add to" in flowledger("resume", poor["run_id"], "--add-budget", "1").err

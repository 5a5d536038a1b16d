"""flowledger chaos: a workflow whose processes are killed loses nothing, pays nothing twice and does nothing twice."""

import json
import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from engine.app import App
from engine.chaos.verdict import ZEROS
from engine.store.database import Database
from engine.testing import CRASH_POINTS
from tests.children import flowledger
from workflows.triage import triage


def chaos(folder: Path, *arguments: str) -> CompletedProcess[str]:
    """Run the command as a user does: it forks, so it needs a process without threads."""
    return flowledger(folder, "chaos", *arguments, FLOWLEDGER_DATABASE="sqlite:///mine.db", TMPDIR=str(folder))


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/chaos.db"
    url = str(request.getfixturevalue("postgres_url"))
    Database.open(url, migrate=True).close()
    return url


async def test_triage_survives_forty_kills(tmp_path, ledger_url):
    wanted = ("triage", "--runs", "8", "--kills", "40", "--database", ledger_url, "--json")
    ran = chaos(tmp_path, *wanted)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    report = json.loads(ran.stdout)
    assert {kind: report[kind] for kind in ZEROS} == dict.fromkeys(ZEROS, 0)
    assert report["findings"] == []
    assert report["kills"] == sum(report["kills_by_point"].values()) >= 40
    assert set(report["kills_by_point"]) <= {*CRASH_POINTS, "at a random moment"}
    assert report["lives"] > report["kills"]
    assert sum(report["statuses"].values()) == report["runs"] + report["undisturbed"]
    async with App(workflows=[triage], database=ledger_url) as app:
        kept = await app.ledger.runs(tenant="chaos", limit=1000)
        assert len(kept) == report["runs"] + report["undisturbed"], "the given database keeps the runs"


def test_a_workflow_that_forgets_is_found_out_and_leaves_what_shows_it(tmp_path):
    (tmp_path / "forgetful.py").write_text(FORGETFUL)
    ran = chaos(tmp_path, "forgetful", "text=x", "--runs", "6", "--kills", "20", "--app", "forgetful:app")
    assert ran.returncode == 1, f"{ran.stdout}\n{ran.stderr}"
    assert "`once` effects repeated: run " in ran.stderr
    assert re.search("pay was done [2-9] times under one key", ran.stderr)
    folder = Path(ran.stderr.strip().splitlines()[-1].rpartition(" in ")[2])
    assert {"runs.db", "lives.log"} <= {path.name for path in folder.iterdir()}
    assert not (tmp_path / "mine.db").exists(), "the user's own ledger is left alone"


FORGETFUL = '''
"""A workflow whose probe does not know what was done."""
from engine import END, START, App, CallTool, Chain, State, Workflow

class Work(State):
    text: str
    out: str = ""

def pay(text: str, *, idempotency_key: str) -> str:
    """Pay."""
    print("paid", idempotency_key)
    return "paid"

def forget(idempotency_key: str) -> str | None:
    """Say that nothing was ever paid."""
    return None

node = CallTool(tool=pay, args={"text": "text"}, into="out", effect="once", probe=forget)
forgetful = Workflow(name="forgetful", state=Work, nodes={"pay": node}, edges=[Chain(START, "pay", END)])
app = App(workflows=[forgetful])
'''


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 2, "there is no workflow 'nothing'"),
        (["say"], 2, "'say' has no cases.jsonl beside it: give an input as FIELD=VALUE, or a file with --from"),
        (["say", "question=q", "--from", "in.jsonl"], 2, "either as FIELD=VALUE or with --from, not both"),
        (["say", "--from", "gone.jsonl"], 2, "--from gone.jsonl: the file cannot be read: No such file or directory"),
        (["say", "answer=a"], 2, "question"),
        (["say", "question"], 2, "'question' is not FIELD=VALUE"),
        (["say", "question=q", "--folder", "gone"], 2, "--folder gone: there is no such folder"),
        (["say", "question=q", "--database", "sqlite://"], 2, "a ledger in memory dies with its process"),
        (["say", "question=q", "--database", "sqlite:///:memory:"], 2, "a ledger in memory dies with its process"),
        (["say", "question=q", "--database", "mysql://h/n"], 2, "begins with 'mysql', which is not supported"),
        (["say", "question=q", "--kills", "0"], 2, "--kills"),
        (["roleless", "question=q"], 2, "no model plays the role 'nobody'"),
    ],
)
def test_bad_input_is_one_sentence(flowledger, arguments, code, said):
    ran = flowledger("chaos", *arguments)
    assert (ran.code, ran.out) == (code, ""), ran.err
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_workflow_that_does_not_work_undisturbed_is_not_disturbed(tmp_path):
    ran = chaos(tmp_path, "tool-raises", "question=q", "--runs", "1", "--app", "tests.cli_app:app")
    assert ran.returncode == 1
    assert "an undisturbed run of 'tool-raises' does not work, so chaos cannot: it failed: " in ran.stderr
    assert "the disk is gone" in ran.stderr
    assert ran.stderr.count("\n") == 1

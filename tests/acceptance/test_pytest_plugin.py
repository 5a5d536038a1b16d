"""Tests of users that play tapes: one of its own name, another by a mark, and one that is none."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

def test_say(tape):
    assert tape.check().result.status == "succeeded"

@pytest.mark.tape("say")
def test_by_another_name(tape):
    assert tape.play().live == 0

def test_broken(tape):
    tape.check()
"""


def test_a_test_plays_the_tape_of_its_name(flowledger, tmp_path):
    run = json.loads(flowledger("run", "say", "question=q", "--json").out)["run_id"]
    assert flowledger("tape", "export", run, "--to", "tapes/say.tape.json").code == 0
    (tmp_path / "tapes" / "broken.tape.json").write_text("{}")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["engine.pytest_plugin"]\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\nflowledger_app = tests.cli_app:app\n")
    (tmp_path / "test_tapes.py").write_text(TESTS)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed, 1 error" in ran.stdout, ran.stdout
    assert "broken.tape.json is no tape of this flowledger" in ran.stdout

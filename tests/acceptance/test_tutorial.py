"""The tutorial is followed as it stands: its files are written and its commands run, in order."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from engine.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
STEPS = re.compile(r"`(?P<file>[\w/]+\.\w+)`:\n\n```\w+\n(?P<text>.*?)```|```console\n(?P<commands>.*?)```", re.DOTALL)


@pytest.fixture
def follow(tmp_path, monkeypatch, capsys):
    """Give what runs a command of the page, in a folder of its own, as a process of its own would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("FLOWLEDGER_APP", "support:app")

    def run(*arguments: str) -> tuple[int, str]:
        sys.modules.pop("support", None)
        monkeypatch.setattr(sys, "argv", ["flowledger", *arguments])
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        ran = capsys.readouterr()
        return code, ran.out + ran.err

    yield run
    sys.modules.pop("support", None)


def test_the_tutorial_is_followed_as_it_stands(follow, tmp_path):
    said: dict[str, str] = {}
    run_id = ""
    for step in STEPS.finditer(PAGE):
        if step["file"]:
            file = tmp_path / step["file"]
            file.parent.mkdir(exist_ok=True)
            file.write_text(step["text"], encoding="utf-8")
            continue
        for line in [line.removeprefix("$ ") for line in step["commands"].splitlines()]:
            if line.startswith("export "):
                assert line == "export FLOWLEDGER_APP=support:app"
                continue
            code, said[line] = follow(*[run_id if word == "RUN" else word for word in shlex.split(line)[1:]])
            assert code == ("--roll-back" in line), f"{line}\n{said[line]}"
            run_id = json.loads(said[line])["run_id"] if "--json" in line else run_id
    assert len(said) >= 24

    def told(start: str) -> str:
        return next(text for line, text in said.items() if line.startswith(start))

    assert "8 in all" in told("flowledger dataset add real")
    assert "FAIL" in told("flowledger eval gate before after")
    assert "8 cases that got worse are in the dataset regressions" in told("flowledger eval gate before after")
    assert "the gate says FAIL" in told("flowledger release history support")
    assert "The shop opens at eight in the morning." in told('flowledger run support question="When does')
    assert "equals-answer  1.000" in told("flowledger eval run support regressions")
    assert "PASS" in told("flowledger eval gate before better")
    assert (tmp_path / "gate.html").exists()

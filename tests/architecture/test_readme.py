"""What the README and the docs say is run: their commands, their code, and every option that there is."""

import ast
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from engine.cli.main import cli, main
from engine.testing import ScriptedModel, asking_for
from tests.flows import app_for

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def leaves(command, path=()):
    for name, sub in getattr(command, "commands", {}).items():
        yield from leaves(sub, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), command


COMMANDS = dict(leaves(typer.main.get_command(cli)))


def test_every_command_and_option_is_documented():
    told = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, command in COMMANDS.items():
        assert f"flowledger {name}" in told, name
        for option in command.params:
            for flag in option.opts:
                assert not flag.startswith("--") or flag in told, f"{name} {flag}"


def test_every_command_has_a_help_text_with_an_example():
    for name, command in COMMANDS.items():
        assert "Example:" in (command.help or ""), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_on_the_pages_is_python(page):
    for code in blocks("python", page.read_text(encoding="utf-8")):
        ast.parse(code)


AROUND_THE_TRIP = """
from pydantic import BaseModel

from engine import END, START, Agent, AgentTool, Chain, Compute, ForEach, Generate, State, Workflow


class Trip(State):
    wish: str
    topics: list[str] = []
    notes: list[str] = []
    answer: str = ""


class Topics(BaseModel):
    topics: list[str]


def note(topic: str) -> str:
    return f"about {topic}"


def search(query: str) -> str:
    return f"found {query}"


def book(name: str) -> str:
    return f"booked {name}"


researcher = Compute(function=note, into="note")
"""


async def test_the_larger_workflow_of_the_readme_waits_for_a_person_and_goes_on(tmp_path, monkeypatch):
    (code,) = [code for code in blocks("python") if "ForEach(" in code]
    (tmp_path / "readme_trip.py").write_text(AROUND_THE_TRIP + code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    trip = importlib.import_module("readme_trip").trip
    script = [{"topics": ["sea", "sun"]}, asking_for(("book", {"name": "inn"})), "The inn is booked."]
    async with app_for(trip, large=ScriptedModel(script=script)) as app:
        waiting = await app.run("trip", {"wish": "a week off"})
        assert [asked.text for asked in await app.questions(waiting.run_id)] == ["Book this?"]
        await app.answer(waiting.run_id)
        result = (await app.resume(waiting.run_id)).raise_for_status()
    assert (result.output["notes"], result.output["answer"]) == (["about sea", "about sun"], "The inn is booked.")


def test_the_workflow_of_the_readme_runs_as_it_stands(tmp_path):
    (workflow,) = [code for code in blocks("python") if "App(" in code]
    (tmp_path / "mine.py").write_text(workflow, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "engine.cli.main", "run", "greet", "name=Ada", "--json", "--app", "mine:app"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["status"] == "succeeded"


def tour() -> list[str]:
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [line.removeprefix("$ ").split("   #")[0].strip() for line in lines if line.startswith("$ flowledger")]


def test_the_tour_of_the_readme_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    assert len(tour()) >= 6
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWLEDGER_DATABASE", "sqlite:///runs.db")
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "refunds.md").write_text("# Refunds\n\nRefunds take five days.\n", encoding="utf-8")
    run_id = ""
    for line in tour():
        arguments = [run_id if word == "RUN" else word for word in shlex.split(line)[1:]]
        monkeypatch.setattr(sys, "argv", ["flowledger", *arguments])
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code
        ran = capsys.readouterr()
        assert code == 0, f"{line}\n{ran.err}"
        if "--json" in arguments and "run" in arguments:
            run_id = json.loads(ran.out)["run_id"]


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"

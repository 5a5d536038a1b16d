"""The command line as a user has it, run inside the test; and how long a database is waited for."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.cli.main import main


@dataclass
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def flowledger(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Ran]:
    """Run `flowledger` in a folder of its own, over the app of the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWLEDGER_APP", "tests.cli_app:app")
    monkeypatch.setenv("FLOWLEDGER_DATABASE", f"sqlite:///{tmp_path}/runs.db")
    monkeypatch.setattr("tests.cli_app.app.dispatcher", None)  # the app of the tests is one for all of them
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["flowledger", *arguments])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all waiting short."""
    monkeypatch.setattr("engine.store.database._BUSY_SECONDS", 0.02)
    monkeypatch.setattr("engine.store.transactions._LOCKED_WAITS", (0.01, 0.02))
    monkeypatch.setattr("engine.store.transactions._LOST_WAITS", (0.01, 0.02, 0.05))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again often, instead of rarely and for long."""
    monkeypatch.setattr("engine.store.transactions._LOCKED_WAITS", (0.02,) * 100)
    monkeypatch.setattr("engine.store.transactions._LOST_WAITS", (0.02,) * 100)

"""The pytest plugin: a test that takes `tape` plays a recorded run against the code of today, and asks nobody.

Put `pytest_plugins = ["engine.pytest_plugin"]` into your topmost conftest.py.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.app import App
from engine.cli.loading import load_app
from engine.replay.replays import Replayed
from engine.replay.tape_file import SUFFIX, RecordedRun


@dataclass(frozen=True, slots=True)
class TapeOfTest:
    """The tape of a test.

    Attributes:
        path: its file.
        recorded: what was recorded.
        app: whose workflow is played.
    """

    path: Path
    recorded: RecordedRun
    app: App

    def play(self) -> Replayed:
        """Play it and give what came of it."""
        with ThreadPoolExecutor(1) as aside:  # a test may have an event loop of its own
            return aside.submit(lambda: asyncio.run(self.app.play(self.recorded))).result()

    def check(self) -> Replayed:
        """Play it, and fail the test if it does not end as it did.

        Raises:
            AssertionError: it does not; the message names the first difference.
        """
        played = self.play()
        if played.difference is not None:
            raise AssertionError(f"{self.path}: {played.difference}")
        return played


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say where tapes and the app are, as ini options."""
    parser.addini("flowledger_tapes", "The folder of tapes.", default="tapes")
    parser.addini("flowledger_app", "The app as module:name; else that of [tool.flowledger].", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "tape(name): which tape the test plays; else the one of its own name")


@pytest.fixture
def tape(request: pytest.FixtureRequest) -> TapeOfTest:
    """Give the tape of a test: `test_refund` plays refund.tape.json, unless `@pytest.mark.tape("other")` says else."""
    mark = request.node.get_closest_marker("tape")
    name = str(mark.args[0]) if mark else str(request.node.originalname).removeprefix("test_").replace("_", "-")
    folder = request.config.rootpath / str(request.config.getini("flowledger_tapes"))
    path = folder / f"{name}{SUFFIX}"
    app = load_app(str(request.config.getini("flowledger_app")) or None)
    return TapeOfTest(path, RecordedRun.read(path), app)

"""The command line as a process of its own, forked from one that has imported it: as real, and there at once."""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.cli.main import main

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["engine.cli.main", "workflows.app"])


@dataclass(frozen=True)
class Ended:
    """What a process came to."""

    returncode: int | None
    stdout: str
    stderr: str


def flowledger(folder: Path, *arguments: str, **environment: str) -> Ended:
    """Run `flowledger` in a folder, which it imports from, without threads of others; no input is given to it."""
    out, err = folder / "child.out", folder / "child.err"
    surroundings = {**os.environ, **environment}
    child = _CONTEXT.Process(target=_live, args=(folder, arguments, surroundings, out, err))
    child.start()
    child.join()
    ended = Ended(child.exitcode, out.read_text(), err.read_text())
    child.close()
    return ended


def _live(folder: Path, arguments: tuple[str, ...], environment: Mapping[str, str], out: Path, err: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.argv = ["flowledger", *arguments]
    main()

"""Programs as children of tests, forked from one process that has imported the engine: each is spared some seconds."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["engine.app", "engine.worker", "engine.cli.main", "workflows.app", __name__])


def ran(
    program: str | Path,
    *arguments: str,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as `subprocess.run` does.

    Args:
        program: the name of a module, or the path of a script.
        arguments: what stands behind it on its command line.
        timeout: seconds after which it is killed, with all that it has started.
        cwd: the folder that it begins in.
        env: what it finds in its environment besides what stands there anyway.

    Raises:
        TimeoutError: it was killed.
    """
    with tempfile.TemporaryDirectory(prefix="child-") as folder:
        said = Path(folder) / "stdout", Path(folder) / "stderr"
        process = FORKING.Process(target=_be, args=(program, arguments, cwd, dict(env or {}), said))
        process.start()
        process.join(timeout)
        if process.is_alive():
            with suppress(ProcessLookupError):
                os.killpg(process.pid or 0, signal.SIGKILL)
            process.join()
            raise TimeoutError(f"{program} had not ended after {timeout:g} s, and said {said[1].read_text()}")
        out, err = (path.read_text() if path.exists() else "" for path in said)
        return subprocess.CompletedProcess([str(program), *arguments], process.exitcode or 0, out, err)


def flowledger(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, which it imports from."""
    return ran("engine.cli.main", *arguments, timeout=300, cwd=folder, env=env)


def _be(
    program: str | Path, arguments: tuple[str, ...], cwd: Path | None, env: Mapping[str, str], said: tuple[Path, Path]
) -> None:
    os.setsid()
    for number, path in enumerate(said, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.update(env)
    os.chdir(cwd or Path.cwd())
    sys.argv = [str(program), *arguments]
    if isinstance(program, Path):
        sys.path.insert(0, str(program.parent))
        runpy.run_path(str(program), run_name="__main__")
    else:
        sys.path.insert(0, str(Path.cwd()))
        sys.modules.pop(program, None)  # it is run, and not only imported
        runpy.run_module(program, run_name="__main__", alter_sys=True)

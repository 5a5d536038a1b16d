"""The nursery: a process without threads that has imported everything, so that a life is forked and not started anew.

A Python that has to import the engine needs seconds to begin; a fork of one that has needs milliseconds. The nursery is
forked from the command line before that has any thread, opens no database and runs no workflow: its children do.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from engine.app import App
from engine.chaos.life import Lived, as_json, live
from engine.chaos.plan import Kill, Life
from engine.chaos.witness import Witness
from engine.errors import ConfigurationError, StoreError

_PATIENCE_S = 900.0  # a life that takes longer hangs
_BEGUN = b"\n"  # what a child writes when its ledger is open


class Nursery:
    """Forks lives one after another, and kills them; use it as `with Nursery(...) as nursery`.

    Args:
        app: the app; its database may not be open.
        workflow: the name of the workflow.
        folder: where the lives work; what they print goes to `lives.log` there.
        witness: sees what goes out.

    Raises:
        ConfigurationError: this system cannot fork.
    """

    def __init__(self, app: App, workflow: str, folder: Path, witness: Witness) -> None:
        if not hasattr(os, "fork"):
            raise ConfigurationError("chaos forks its processes, and this system cannot: run it on Linux or macOS")
        ours, theirs = socket.socketpair()
        self._process = os.fork()
        if self._process == 0:
            ours.close()
            _serve(lambda: _Template(app, workflow, folder, witness), theirs)
        theirs.close()
        self._socket = ours
        self._lines = ours.makefile("r", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def live(self, life: Life, inputs: Mapping[str, Mapping[str, Any]]) -> Lived:
        """Have a life lived, and say what it came to.

        Raises:
            StoreError: the nursery is gone.
        """
        order = {"life": asdict(life), "inputs": {run_id: inputs[run_id] for run_id in life.runs}}
        try:
            self._socket.sendall(f"{json.dumps(order)}\n".encode())
            line = self._lines.readline()
        except OSError as error:
            raise StoreError(f"the process that forks lives is gone: {error.strerror}") from error
        if not line:
            raise StoreError("the process that forks lives is gone: see to the memory of this machine")
        return Lived(**json.loads(line))

    def close(self) -> None:
        """End the nursery, and the life that is being lived."""
        self._lines.close()
        self._socket.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._process, 0)


class _Template:
    """What every life begins with."""

    def __init__(self, app: App, workflow: str, folder: Path, witness: Witness) -> None:
        self.app, self.workflow, self.witness = app, workflow, witness
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and closes
        here = str(Path.cwd())
        sys.path[:] = [path or here for path in sys.path]  # what is imported later is found from the new folder, too
        log = os.open(folder / "lives.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(folder)
        for each in app.workflows.values():
            _ = each.version  # sources are read once, and not in each life

    def learn(self, lived: Lived) -> None:
        """Import what a life had to import, so that the next ones need not."""
        for name in lived.imported:
            with contextlib.suppress(Exception):  # it is only sooner
                importlib.import_module(name)
        gc.collect()
        gc.freeze()


def _serve(prepare: Callable[[], _Template], orders: socket.socket) -> NoReturn:
    """Fork a life for each order until nobody orders any more; whatever happens, this process ends here."""
    status = 1
    try:
        template = prepare()
        lines = orders.makefile("r", encoding="utf-8")
        for line in iter(lines.readline, ""):
            order = json.loads(line)
            said = order["life"]
            life = Life(runs=said["runs"], kill=Kill(**said["kill"]) if said["kill"] else None)
            lived = _fork(template, life, order["inputs"], orders)
            template.learn(lived)
            orders.sendall(f"{json.dumps(as_json(lived))}\n".encode())
        status = 0
    except (BrokenPipeError, ConnectionResetError):
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _fork(template: _Template, life: Life, inputs: Mapping[str, Any], orders: socket.socket) -> Lived:
    """Fork one life and stay with it to its end."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        orders.close()
        _child(template, life, inputs, writing)
    os.close(writing)
    said, hung = _attend(process, life.kill, reading, orders)
    os.close(reading)
    _, status = os.waitpid(process, 0)
    if hung:
        return _broken(life, f"the life did not end within {_PATIENCE_S:g} seconds")
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return Lived(killed=True)
    if not said.strip():
        return _broken(life, f"the process ended with the wait status {status}; see lives.log")
    return Lived(**json.loads(said))


def _broken(life: Life, why: str) -> Lived:
    return Lived(broke=dict.fromkeys(life.runs, why))


def _attend(process: int, kill: Kill | None, reading: int, orders: socket.socket) -> tuple[bytes, bool]:
    """Read what a life says until it ends; kill it at its moment, when it hangs, or when nobody orders any more."""
    after = None if kill is None else kill.after_s
    said, hung, watched = b"", False, [reading, orders.fileno()]
    dies_at = hangs_at = time.monotonic() + _PATIENCE_S
    while True:
        ready, _, _ = select.select(watched, [], [], max(0.0, dies_at - time.monotonic()) if watched[1:] else None)
        if reading not in ready:
            os.kill(process, signal.SIGKILL)  # nobody has waited for it yet, so its number is still its own
            hung = not ready and dies_at == hangs_at
            watched = [reading]
            continue
        chunk = os.read(reading, 1 << 16)
        if not chunk:
            return said, hung
        if after is not None and not said:
            dies_at = time.monotonic() + after
        said += chunk


def _child(template: _Template, life: Life, inputs: Mapping[str, Any], writing: int) -> NoReturn:
    """Live, and say what it came to."""
    status = 1
    try:
        lived = asyncio.run(
            live(template.app, template.workflow, life, inputs, template.witness, lambda: _say(writing, _BEGUN))
        )
        _say(writing, json.dumps(as_json(lived)).encode())
        status = 0
    except BaseException as error:
        traceback.print_exc()
        _say(writing, json.dumps(as_json(_broken(life, f"{type(error).__name__}: {error}"))).encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _say(writing: int, said: bytes) -> None:
    while said:
        said = said[os.write(writing, said) :]

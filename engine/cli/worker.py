"""flowledger worker: work on queued runs, in this process or in several that it watches."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, DispatcherOption, JsonOption, parse_bytes
from engine.cli.render import errors, shown_status
from engine.errors import InputError
from engine.operating.endpoint import answering
from engine.operating.fresh_code import changed, stamps
from engine.operating.memory import drain_when_large
from engine.operating.metrics import Metrics
from engine.operating.parent import DRAINED, LINE, TOO_LARGE, Parent
from engine.ports import Taken
from engine.runtime.enqueue import DEFAULT_QUEUE
from engine.store.lease_time import checked_lease
from engine.worker import Worker


@dataclass(frozen=True, slots=True)
class _Watch:
    """What is done beside the work.

    Attributes:
        memory_limit: bytes, over which the worker drains.
        health_port: where a monitor is answered.
        parent: the line to a parent that watches this process, which drains when that is gone.
    """

    memory_limit: int | None
    health_port: int | None
    parent: socket.socket | None


def worker(
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Runs in progress at once.")] = 16,
    queues: Annotated[str, typer.Option(help="The queues to take from, with commas.")] = DEFAULT_QUEUE,
    workflows: Annotated[str | None, typer.Option(help="The workflows to take, with commas; else all.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Worker processes; each has runs of its own.")] = 1,
    memory_limit: Annotated[
        str | None, typer.Option(help="Drain a process that holds more than this, as in 2GB; several replace it.")
    ] = None,
    health_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Answer /livez, /readyz and /metrics on this port of the loopback."),
    ] = None,
    lease_seconds: Annotated[
        float | None,
        typer.Option(
            envvar="FLOWLEDGER_LEASE_SECONDS",
            help="After how long unheard of a worker is taken for dead, 1 to 900; else the app's own, 8.",
        ),
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Drain and start again when files change here.")] = False,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="End when nothing is due any more.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not say how each run ended.")] = False,
    app: AppOption = None,
    database: DatabaseOption = None,
    dispatcher: DispatcherOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take queued runs and work on them until told to stop.

    SIGTERM or Ctrl-C drains: runs finish the steps that they are at and are queued again for others. A second one
    stops at once; what was in progress goes on elsewhere from its last checkpoint.

    Example: flowledger worker --concurrency 50 --until-empty
    """
    limit = None if memory_limit is None else parse_bytes("--memory-limit", memory_limit)
    if processes > 1 or reload:
        ended, code = _as_parent(processes, health_port, reload=reload, until_empty=until_empty)
    else:
        loaded = load_app(app, database, dispatcher)
        if lease_seconds is not None:
            loaded.lease_seconds = checked_lease(lease_seconds)
        heard = None if quiet or as_json else _say
        names = _listed(workflows)
        for name in names:
            loaded.workflow(name)
        working = Worker(loaded, concurrency=concurrency, queues=_listed(queues) or [DEFAULT_QUEUE], on_end=heard)
        working.until_empty, working.workflows = until_empty, names or None
        number = os.environ.pop(LINE, None)  # what this process starts has no line to our parent
        line = None if number is None else socket.socket(fileno=int(number))
        ended, code = asyncio.run(_work(working, _Watch(limit, health_port, line)))
        if line is not None:
            line.sendall(json.dumps(ended).encode())
            raise typer.Exit(code)
    if as_json:
        typer.echo(json.dumps(ended))
    else:
        said = ", ".join(f"{count:,} {status}" for status, count in sorted(ended.items())) or "no run was taken"
        errors.print(f"[dim]{said}[/dim]")
    if code:
        raise typer.Exit(code)


async def _work(working: Worker, watch: _Watch) -> tuple[Counter[str], int]:
    on_signal(working.drain)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(working.app)
        _ = working.app.ledger
        if watch.health_port is not None:
            await stack.enter_async_context(answering(Metrics(working), watch.health_port))
        if watch.parent is not None:
            _drain_without(watch.parent, working)
        limit = watch.memory_limit
        large = None if limit is None else asyncio.create_task(drain_when_large(working, limit))
        try:
            ended = await working.run()
        finally:
            if large is not None:
                large.cancel()
        if working.is_drained_by_word:
            errors.print("[dim]drained, as it was asked to by `flowledger workers drain`[/dim]")
        if large is None or not large.done():
            return ended, DRAINED if working.is_drained_by_word and watch.parent is not None else 0
        errors.print(f"[yellow]drained at {large.result() / 2**20:,.0f} MB, more than --memory-limit allows[/yellow]")
        return ended, TOO_LARGE


def on_signal(drain: Callable[[], None], again: Callable[[], None] | None = None) -> None:
    """Drain at the first SIGTERM or Ctrl-C; at the second do what is said, or stop at once."""
    is_draining = False

    def stop() -> None:
        nonlocal is_draining
        if is_draining:
            if again is not None:
                return again()
            sys.stderr.flush()
            os._exit(130)  # what is in progress stays with its last checkpoint, and others take it
        is_draining = True
        errors.print("[dim]draining: runs finish their steps; once more to stop at once[/dim]")
        return drain()

    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop)


def _drain_without(parent: socket.socket, working: Worker) -> None:
    """Drain when the parent is gone, which ends the line to it; it says nothing else."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(parent)
        working.drain()

    loop.add_reader(parent, gone)


def _as_parent(processes: int, health_port: int | None, *, reload: bool, until_empty: bool) -> tuple[Counter[str], int]:
    given = _without(sys.argv[1:], ("--processes", "--health-port"), ("--reload", "--json"))

    def command(number: int) -> Sequence[str]:
        port = [] if health_port is None else [f"--health-port={health_port + number}"]
        return [sys.executable, "-m", "engine.cli.main", *given, *port]

    async def watch() -> tuple[Counter[str], int]:
        say = partial(errors.print, style="dim", markup=False, soft_wrap=True)
        changes = partial(changed, Path.cwd(), stamps(Path.cwd())) if reload else None
        parent = Parent(command, processes, until_empty=until_empty, say=say, changes=changes)
        on_signal(parent.stop, again=parent.stop)
        code = await parent.run()
        return parent.ended, code

    if health_port is not None and health_port + processes - 1 > 65535:
        raise InputError(f"--health-port {health_port}: {processes} processes need as many ports from there on")
    return asyncio.run(watch())


def _without(arguments: Sequence[str], valued: Sequence[str], plain: Sequence[str]) -> list[str]:
    """Give a command line without some options, those with a value and those without."""
    kept: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        name, is_joined, _ = argument.partition("=")
        if name in valued:
            if not is_joined:
                next(waiting, None)
        elif name not in plain:
            kept.append(argument)
    return kept


def _listed(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _say(taken: Taken, status: str) -> None:
    word, _, reason = status.partition(": ")
    errors.print(
        f"{taken.record.run_id} {taken.record.workflow} {shown_status(word)}{' ' + reason if reason else ''}",
        soft_wrap=True,
    )

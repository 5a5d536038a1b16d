"""flowledger worker: work on queued runs."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from typing import Annotated

import typer

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, DispatcherOption, JsonOption
from engine.cli.render import errors, shown_status
from engine.ports import Taken
from engine.runtime.enqueue import DEFAULT_QUEUE
from engine.worker import Worker


def worker(
    concurrency: Annotated[int, typer.Option("--concurrency", "-c", min=1, help="Runs in progress at once.")] = 16,
    queues: Annotated[str, typer.Option(help="The queues to take from, with commas.")] = DEFAULT_QUEUE,
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
    loaded = load_app(app, database, dispatcher)
    names = [name.strip() for name in queues.split(",") if name.strip()] or [DEFAULT_QUEUE]
    heard = None if quiet or as_json else _say
    working = Worker(loaded, concurrency=concurrency, queues=names, until_empty=until_empty, on_end=heard)
    ended = asyncio.run(_work(working))
    if as_json:
        typer.echo(json.dumps(ended))
    else:
        said = ", ".join(f"{count:,} {status}" for status, count in sorted(ended.items())) or "no run was taken"
        errors.print(f"[dim]{said}[/dim]")


async def _work(working: Worker) -> Counter[str]:
    loop = asyncio.get_running_loop()
    is_draining = False

    def stop() -> None:
        nonlocal is_draining
        if is_draining:
            sys.stderr.flush()
            os._exit(130)  # what is in progress stays with its last checkpoint, and others take it
        is_draining = True
        errors.print("[dim]draining: runs finish their steps; once more to stop at once[/dim]")
        working.drain()

    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop)
    async with working.app:
        return await working.run()


def _say(taken: Taken, status: str) -> None:
    word, _, reason = status.partition(": ")
    errors.print(
        f"{taken.record.run_id} {taken.record.workflow} {shown_status(word)}{' ' + reason if reason else ''}",
        soft_wrap=True,
    )

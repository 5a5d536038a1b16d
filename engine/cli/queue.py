"""flowledger queue, workers and requeue: how queues stand, and what is said about them."""

import asyncio
import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, RunArgument, who_says, within
from engine.cli.render import console, moment
from engine.reports.queue import lanes_of, workers_of
from engine.runtime.enqueue import DEFAULT_QUEUE

commands = typer.Typer(help="How queues stand, and what is said about them.", no_args_is_help=True)
QueueArgument = Annotated[str, typer.Argument(help="The queue.")]


@commands.command("show")
def show(app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show what waits and what is worked on, lane by lane.

    Example: flowledger queue show
    """
    loaded = load_app(app, database)
    rows = asyncio.run(within(loaded, lambda: lanes_of(loaded.ledger)))
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows]))
        return
    columns = ("queue", "lane", "due", "delayed", "running", "waiting", "oldest", "limit")
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        counts = (f"{count:,}" for count in (row.due, row.delayed, row.running, row.waiting))
        oldest = "-" if row.oldest_s is None else f"{row.oldest_s:,.1f} s"
        limit = "paused" if row.paused else str(row.max_running or "-")
        table.add_row(escape(row.queue), escape(row.lane or "-"), *counts, oldest, limit)
    console.print(table if rows else "no run is queued")


@commands.command("pause")
def pause(queue: QueueArgument, app: AppOption = None, database: DatabaseOption = None) -> None:
    """Have nothing taken from a queue; runs in progress go on.

    Example: flowledger queue pause default
    """
    loaded = load_app(app, database)
    asyncio.run(within(loaded, lambda: loaded.pause(queue, by=who_says())))
    console.print(f"the queue {queue} is paused: flowledger queue resume {queue}", markup=False)


@commands.command("resume")
def resume(queue: QueueArgument, app: AppOption = None, database: DatabaseOption = None) -> None:
    """Let runs be taken from a queue again.

    Example: flowledger queue resume default
    """
    loaded = load_app(app, database)
    asyncio.run(within(loaded, lambda: loaded.unpause(queue, by=who_says())))
    console.print(f"the queue {queue} is open", markup=False)


@commands.command("limit")
def limit(
    queue: QueueArgument,
    most: Annotated[int, typer.Argument(min=0, help="Runs at once; 0 is any number.")],
    lane: Annotated[str, typer.Option(help="The lane, such as a tenant.")] = "",
    app: AppOption = None,
    database: DatabaseOption = None,
) -> None:
    """Say how many runs of a lane may be worked on at once, over all workers.

    Example: flowledger queue limit default 4 --lane acme
    """
    loaded = load_app(app, database)
    asyncio.run(within(loaded, lambda: loaded.limit(queue, lane, most or None, by=who_says())))
    console.print(f"{queue}, lane {lane or '-'}: {f'{most} at once' if most else 'no limit'}", markup=False)


def workers(app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show the processes that work on runs, when each was heard of last, and how many runs it has.

    Example: flowledger workers
    """
    loaded = load_app(app, database)
    rows = asyncio.run(within(loaded, lambda: workers_of(loaded.ledger)))
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows]))
        return
    table = Table("worker", "host", "process", "since", "state", "heard of", "runs", box=None, pad_edge=False)
    for row in rows:
        state = "[green]alive[/green]" if row.alive else "[red]gone[/red]"
        heard = f"{row.beat_s:,.0f} s ago"
        since, host = moment(row.started_at), escape(row.host.partition(" ")[0])
        table.add_row(row.worker_id, host, str(row.process_id), since, state, heard, str(row.runs))
    console.print(table if rows else "no worker has been here")


def requeue(
    run: RunArgument,
    queue: Annotated[str, typer.Option(help="The queue.")] = DEFAULT_QUEUE,
    lane: Annotated[str | None, typer.Option(help="Whose turn it shares; else its tenant's.")] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Queue a run that failed, died or was cancelled; a worker goes on with it from its last checkpoint.

    Example: flowledger requeue 01936f2a
    """
    loaded = load_app(app, database)
    record = asyncio.run(within(loaded, lambda: loaded.requeue(run, queue, lane, by=who_says())))
    if as_json:
        typer.echo(json.dumps({"run_id": record.run_id, "status": record.status}))
    else:
        console.print(f"{record.run_id} {record.status}", markup=False)

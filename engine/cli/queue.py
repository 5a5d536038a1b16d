"""flowledger queue and requeue: how queues stand, and what is said about them."""

import asyncio
import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, RunArgument, parse_rate, who_says, within
from engine.cli.render import console
from engine.controls import LimitKind
from engine.errors import InputError
from engine.reports.queue import lanes_of, limits_of
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
        limit = "paused" if row.paused else _said(row.max_running, row.starts_per_second)
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
    most: Annotated[int | None, typer.Argument(min=0, help="Runs at once; 0 is any number.")] = None,
    lane: Annotated[str | None, typer.Option(help="The lane, such as a tenant.")] = None,
    workflow: Annotated[str | None, typer.Option(help="All runs of this workflow instead.")] = None,
    resource: Annotated[str | None, typer.Option(help="All runs queued with this resource instead.")] = None,
    rate: Annotated[str | None, typer.Option(help="Runs of the lane in a time, as in 10/s; none is any.")] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
) -> None:
    """Say how many runs may be worked on at once, or begun in a time, over all workers.

    Example: flowledger queue limit default 4 --lane acme --rate 10/s
    """
    loaded = load_app(app, database)
    if most is None and rate is None:
        raise InputError("say how many runs may be worked on at once, or --rate, as in 10/s")
    if sum(name is not None for name in (lane, workflow, resource)) > 1:
        raise InputError("say one of --lane, --workflow and --resource")
    across: LimitKind | None = "workflow" if workflow is not None else "resource" if resource is not None else None
    if across and rate is not None:
        raise InputError("--rate is for a lane: say --lane, or leave --workflow and --resource out")
    if workflow is not None:
        loaded.workflow(workflow)
    per_second = None if rate is None else parse_rate("--rate", rate)
    name = workflow or resource or lane or ""

    async def change() -> None:
        if across and most is not None:
            await loaded.limit_across(queue, across, name, most or None, by=who_says())
        elif most is not None:
            await loaded.limit(queue, name, most or None, by=who_says())
        if rate is not None:
            await loaded.limit_rate(queue, name, per_second, by=who_says())

    asyncio.run(within(loaded, change))
    said = [] if most is None else [f"{most} at once" if most else "no limit"]
    said += [] if rate is None else [rate if per_second else "any rate"]
    console.print(f"{queue}, {across or 'lane'} {name or '-'}: {', '.join(said)}", markup=False)


@commands.command("limits")
def limits(app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show the limits for workflows and resources, and how much of each is used; those of lanes are in `queue show`.

    Example: flowledger queue limits
    """
    loaded = load_app(app, database)
    rows = asyncio.run(within(loaded, lambda: limits_of(loaded.ledger)))
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows]))
        return
    table = Table("queue", "of", "name", "running", "limit", box=None, pad_edge=False)
    for row in rows:
        table.add_row(escape(row.queue), row.kind, escape(row.name), f"{row.running:,}", f"{row.max_running:,}")
    console.print(table if rows else "no workflow and no resource has a limit")


def _said(most: int | None, per_second: float | None) -> str:
    parts = [] if most is None else [f"{most:,}"]
    parts += [] if per_second is None else [f"{per_second:,.4g}/s"]
    return ", ".join(parts) or "-"


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

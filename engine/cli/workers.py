"""flowledger workers: which processes work on runs, and asking one of them to drain."""

import asyncio
import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, who_says, within
from engine.cli.render import console, moment
from engine.errors import InputError
from engine.reports.queue import WorkerRow, workers_of

commands = typer.Typer(help="Which processes work on runs, and asking one of them to drain.")


@commands.callback(invoke_without_command=True)
def workers(
    context: typer.Context, app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Show the processes that work on runs, when each was heard of last, and how many runs it has.

    Example: flowledger workers
    """
    if context.invoked_subcommand is not None:
        sources = [context.get_parameter_source(name) for name in ("app", "database", "as_json")]
        if any(source is not None and source.name == "COMMANDLINE" for source in sources):
            raise InputError(f"say options behind the command: flowledger workers {context.invoked_subcommand} ...")
        return
    loaded = load_app(app, database)
    rows = asyncio.run(within(loaded, lambda: workers_of(loaded.ledger)))
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows]))
        return
    table = Table("worker", "host", "process", "since", "state", "heard of", "runs", box=None, pad_edge=False)
    for row in rows:
        heard = f"{row.beat_s:,.0f} s ago"
        since, host = moment(row.started_at), escape(row.host.partition(" ")[0])
        table.add_row(row.worker_id, host, str(row.process_id), since, _state(row), heard, str(row.runs))
    console.print(table if rows else "no worker has been here")


@commands.command("drain")
def drain(
    worker: Annotated[str, typer.Argument(help="The worker's id, or a beginning of it.")],
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a worker take no more runs; those in progress finish their steps and are queued again for others.

    Example: flowledger workers drain 3f9c20a1
    """
    loaded = load_app(app, database)
    worker_id = asyncio.run(within(loaded, lambda: loaded.drain_worker(worker, by=who_says())))
    if as_json:
        typer.echo(json.dumps({"worker_id": worker_id, "draining": True}))
    else:
        console.print(f"the worker {worker_id} drains", markup=False)


def _state(row: WorkerRow) -> str:
    if not row.alive:
        return "[red]gone[/red]"
    return "[yellow]draining[/yellow]" if row.draining else "[green]alive[/green]"

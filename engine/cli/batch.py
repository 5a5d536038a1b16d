"""flowledger batch: how runs that were queued together stand, and their end."""

import asyncio
import json
import sys
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from typer.core import TyperGroup

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, LimitOption, who_says, within
from engine.cli.render import console, errors, moment, money, shown_status
from engine.cli.run import WAITS
from engine.errors import InputError
from engine.records import RunStatus
from engine.reports.batches import BatchRow

_LOOK_SECONDS = 1.0
_COLUMNS = ("batch", "name", "workflow", "queued at", "runs", "ended", "states", "cost", "per succeeded run", "left")


class _ShowsByDefault(TyperGroup):
    """Takes `batch NAME` for `batch show NAME`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the command that is meant where none is named."""
        is_named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if is_named else ["show", *args])


commands = typer.Typer(cls=_ShowsByDefault, help="How runs that were queued together stand.")


@commands.command("show")
def show(
    name: Annotated[str | None, typer.Argument(help="The batch's name, its id, or a beginning of that.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until nothing of it is queued or worked on.")] = False,
    limit: LimitOption = 50,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a batch, or the latest ones: runs by status, cost, cost per succeeded run, and when it will be done.

    With --wait, the exit code is 1 if a run has not succeeded and 4 if one waits for a person.

    Example: flowledger batch november --wait
    """
    if wait and name is None:
        raise InputError("--wait waits for one batch: say which")
    loaded = load_app(app, database)

    async def work() -> list[BatchRow]:
        if name is None:
            return await loaded.batches(limit)
        return [await (_wait(loaded, name) if wait else loaded.batch(name))]

    rows = asyncio.run(within(loaded, work))
    if as_json:
        found = [row.to_json() for row in rows]
        typer.echo(json.dumps(found if name is None else found[0]))
    else:
        _print(rows)
    if wait and rows[0].counts.get(RunStatus.WAITING):
        raise typer.Exit(WAITS)
    if wait and rows[0].ended > rows[0].counts.get(RunStatus.SUCCEEDED, 0):
        raise typer.Exit(1)


@commands.command("cancel")
def cancel(
    name: Annotated[str, typer.Argument(help="The batch's name, its id, or a beginning of that.")],
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """End the runs of a batch that have not ended; those in progress are asked to, and end within a second or so.

    Example: flowledger batch cancel november
    """
    loaded = load_app(app, database)
    row = asyncio.run(within(loaded, lambda: loaded.cancel_batch(name, by=who_says())))
    if as_json:
        typer.echo(json.dumps(row.to_json()))
    else:
        _print([row])


async def _wait(app: App, name: str) -> BatchRow:
    """Look until nothing of a batch is queued or worked on; on a terminal, a bar shows how far it is."""
    bar = Progress(
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}")),
        console=errors,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        shown = bar.add_task(escape(name), left="")
        while True:
            row = await app.batch(name)
            bar.update(shown, total=row.runs, completed=row.runs - row.left, left=_left(row))
            if not row.left:
                return row
            await app.clock.sleep(_LOOK_SECONDS)


def _print(rows: list[BatchRow]) -> None:
    table = Table(*_COLUMNS, box=None, pad_edge=False)
    for row in rows:
        batch = row.batch
        states = ", ".join(f"{count:,} {shown_status(status)}" for status, count in row.counts.items())
        cost = money(row.cost_usd) + (f" and {row.unpriced:,} runs of unknown cost" if row.unpriced else "")
        per = "-" if row.usd_per_succeeded is None else money(row.usd_per_succeeded)
        named = (batch.batch_id, escape(batch.name or "-"), escape(batch.workflow), moment(batch.created_at))
        table.add_row(*named, f"{row.runs:,}", f"{row.ended:,}", states or "-", cost, per, _left(row) or "-")
    console.print(table if rows else "there is no batch")


def _left(row: BatchRow) -> str:
    """Say how long it will take."""
    if not row.left:
        return ""
    if row.eta_s is None or row.runs_per_s is None:
        return "nobody works on it yet"
    return f"{timedelta(seconds=round(row.eta_s))} at {row.runs_per_s:,.2f} runs/s"

"""flowledger outcome: say what became of a run in the world, however late, and see what was said."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, RunArgument, within
from engine.cli.render import console, moment
from engine.records import OutcomeRecord

commands = typer.Typer(help="What became of runs in the world.", no_args_is_help=True)


@commands.command("set")
def set_outcome(
    run: RunArgument,
    outcome: Annotated[Literal["success", "failure"], typer.Argument(help="Whether it did what it was for.")],
    value: Annotated[float | None, typer.Option("--value", help="What that was worth, in a unit of yours.")] = None,
    name: Annotated[str, typer.Option("--name", help="What was judged, as in resolved.")] = "outcome",
    source: Annotated[str, typer.Option("--source", help="Who says so: person, or a system of yours.")] = "person",
    note: Annotated[str | None, typer.Option("--note", help="Why.")] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what became of a run; what is said last counts, and what was said before is kept.

    Example: flowledger outcome set 01936f2a success --value 12.50
    """
    loaded = load_app(app, database)
    is_success = outcome == "success"
    said = asyncio.run(
        within(loaded, lambda: loaded.outcome(run, is_success, value=value, name=name, source=source, note=note))
    )
    if as_json:
        typer.echo(json.dumps(asdict(said), default=str))
    else:
        console.print(f"{said.run_id} {said.name}: {outcome}", markup=False)


@commands.command("show")
def show(run: RunArgument, app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show what was said of a run, the last at the end.

    Example: flowledger outcome show 01936f2a
    """
    loaded = load_app(app, database)
    said = asyncio.run(within(loaded, lambda: loaded.outcomes(run)))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in said], default=str))
    else:
        _show(said)


def _show(said: Sequence[OutcomeRecord]) -> None:
    table = Table("when", "name", "outcome", Column("value", justify="right"), "by", "note", box=None, pad_edge=False)
    for one in said:
        came = "[green]success[/green]" if one.success else "[red]failure[/red]"
        value = "" if one.value is None else f"{one.value:g}"
        table.add_row(moment(one.created_at), escape(one.name), came, value, escape(one.source), escape(one.note or ""))
    console.print(table if said else "nobody has said what became of it")

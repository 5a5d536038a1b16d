"""flowledger breakers: which targets of calls are left alone, and how to have them asked again."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, who_says, within
from engine.cli.render import console, moment
from engine.errors import InputError

commands = typer.Typer(help="Which targets of calls are left alone.", no_args_is_help=True)


@commands.command("show")
def show(app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show the targets whose breaker has ever opened: how each stands, since when, why, and when it is tried again.

    Example: flowledger breakers show
    """
    loaded = load_app(app, database)
    found = asyncio.run(within(loaded, loaded.breakers))
    if as_json:
        typer.echo(json.dumps([asdict(record) for record in found], default=str))
        return
    table = Table("target", "state", "since", "why", "next probe", box=None, pad_edge=False)
    for record in found:
        colour = "green" if record.state == "closed" else "red"
        since = "-" if record.changed_at is None else moment(record.changed_at)
        probe = "-" if record.probe_until is None else moment(record.probe_until)
        state = f"[{colour}]{record.state}[/{colour}]"
        table.add_row(escape(record.target), state, since, escape(record.reason or "-"), probe)
    console.print(table if found else "no breaker has opened")


@commands.command("reset")
def reset(
    target: Annotated[str | None, typer.Argument(help="The target, as `flowledger breakers show` names it.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every target.")] = False,
    app: AppOption = None,
    database: DatabaseOption = None,
) -> None:
    """Have a target asked again at once; running processes hear of it within a second.

    Example: flowledger breakers reset openai:gpt-5-mini
    """
    if (target is None) == (not every):
        raise InputError("name one target, or say --all")
    loaded = load_app(app, database)
    closed = asyncio.run(within(loaded, lambda: loaded.reset_breaker(target, by=who_says())))
    if target is not None and not closed:
        raise InputError(f"the breaker of {target!r} is not open: `flowledger breakers show` lists those that are")
    console.print(f"{closed} {'breaker' if closed == 1 else 'breakers'} closed", markup=False)

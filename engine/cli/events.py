"""flowledger events: what people said about runs, queues, schedules, breakers and caches."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, LimitOption, SinceOption, parse_since, within
from engine.cli.render import console, moment


def events(
    since: SinceOption = None,
    what: Annotated[str | None, typer.Option(help='Only this action, as in "pause queue".')] = None,
    subject: Annotated[str | None, typer.Option(help="Only about this queue, run, schedule or target.")] = None,
    limit: LimitOption = 50,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what people said: cancel, pause, limit, requeue and the like, who and when, and what it changed.

    Example: flowledger events --since 1d
    """
    loaded = load_app(app, database)
    began = parse_since(since, loaded.clock.now())
    found = asyncio.run(
        within(loaded, lambda: loaded.control_events(since=began, what=what, subject=subject, limit=limit))
    )
    if as_json:
        typer.echo(json.dumps([asdict(event) for event in found], default=str))
        return
    table = Table("at (UTC)", "by", "what", "about", "before", "after", box=None, pad_edge=False)
    for event in found:
        words = (event.by or "-", event.what, event.subject, _named(event.before), _named(event.after))
        table.add_row(moment(event.at), *map(escape, words))
    console.print(table if found else "nobody has said anything")


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in values.items() if value is not None) or "-"

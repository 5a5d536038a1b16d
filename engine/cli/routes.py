"""flowledger routes: which models were asked where there was a choice, what that saved, and how it went."""

import asyncio
import json

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, SinceOption, parse_since, within
from engine.cli.render import console, money
from engine.reports.routes import routes as read_routes
from engine.usage import to_usd


def routes(
    since: SinceOption = None, app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Show the ways through a Switch or Cascade: how often, at what cost, what that saved, and how the runs fared.

    Example: flowledger routes --since 7d
    """
    loaded = load_app(app, database)
    began = parse_since(since, loaded.clock.now())
    rows = asyncio.run(within(loaded, lambda: read_routes(loaded.ledger, since=began)))
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows]))
        return
    numbers = ("steps", "share", "cost a step", "saved", "asked again", "succeeded", "success")
    table = Table(
        "workflow", "node", "route", *(Column(name, justify="right") for name in numbers), box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(
            *map(escape, (row.workflow, row.node, row.route)),
            f"{row.steps:,}",
            f"{row.share:.1%}",
            money(to_usd(row.nano_usd // row.steps)),
            money(to_usd(row.saved_nano_usd)),
            f"{row.reasked / row.steps:.1%}",
            f"{row.succeeded / row.steps:.1%}",
            f"{row.success / row.judged:.1%} of {row.judged:,}" if row.judged else "-",
        )
    console.print(table if rows else "no step had a choice of models")

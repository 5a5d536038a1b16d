"""flowledger cache: what caches hold and have saved, and how to empty them."""

import asyncio
import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, SinceOption, parse_since, who_says, within
from engine.cli.render import console, money
from engine.reports.cache import caches
from engine.usage import to_usd

commands = typer.Typer(help="What caches hold and have saved.", no_args_is_help=True)


@commands.command("show")
def show(
    since: SinceOption = None, app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Show the cache of each node: entries, hits, and what these saved.

    Example: flowledger cache show --since 7d
    """
    loaded = load_app(app, database)
    now = loaded.clock.now()
    began = parse_since(since, now)
    rows = asyncio.run(within(loaded, lambda: caches(loaded.ledger, now, since=began)))
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows]))
        return
    table = Table("workflow", "node", "entries", "hits", "tokens saved", "saved", box=None, pad_edge=False)
    for row in rows:
        counts = (f"{count:,}" for count in (row.entries, row.hits, row.saved_tokens))
        table.add_row(escape(row.workflow), escape(row.node), *counts, money(to_usd(row.saved_nano_usd)))
    console.print(table if rows else "nothing is kept")


@commands.command("clear")
def clear(
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    node: Annotated[str | None, typer.Option(help="Only of this node.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only what was made for this tenant.")] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
) -> None:
    """Forget what nodes wrote; running processes hear of it within half a minute.

    Example: flowledger cache clear --workflow answer-docs --node find
    """
    loaded = load_app(app, database)
    gone = asyncio.run(
        within(
            loaded,
            lambda: loaded.clear_cache(workflow=workflow, node=node, tenant=tenant, by=who_says()),
        )
    )
    console.print(f"{gone:,} {'entry' if gone == 1 else 'entries'} forgotten", markup=False)

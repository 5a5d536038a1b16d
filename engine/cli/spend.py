"""flowledger spend: what windows of time have spent of their limits."""

import asyncio
import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, within
from engine.cli.render import console, moment, money
from engine.usage import to_usd


def spend(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many windows at the most.")] = 50,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each window of a spend limit has spent, and what runs in progress hold of it; the latest first.

    Example: flowledger spend
    """
    loaded = load_app(app, database)
    rows = asyncio.run(within(loaded, loaded.spend))[:limit]
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "limit": row.limit_key,
                        "begins_at": row.begins_at.isoformat(),
                        "spent_usd": f"{to_usd(row.settled_nano_usd):f}",
                        "held_usd": f"{to_usd(row.held_nano_usd):f}",
                    }
                    for row in rows
                ]
            )
        )
        return
    table = Table("limit", "since", "spent", "held", box=None, pad_edge=False)
    for row in rows:
        spent, held = money(to_usd(row.settled_nano_usd)), money(to_usd(row.held_nano_usd))
        table.add_row(escape(row.limit_key), moment(row.begins_at), spent, held)
    console.print(table if rows else "nothing was spent under a limit")

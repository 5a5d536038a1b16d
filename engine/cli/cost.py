"""flowledger cost: what was spent, by whatever asks."""

import asyncio
import json
from typing import Annotated

import typer
from rich.table import Table

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, SinceOption, parse_since
from engine.cli.render import console, money
from engine.reports.cost import CostRow, cost_by


def cost(
    by: Annotated[
        str,
        typer.Option(
            "--by", help="Dimensions with commas: workflow, version, node, model, provider, tenant, user, status, day."
        ),
    ] = "workflow,model",
    since: SinceOption = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add up calls, tokens and cost.

    Example: flowledger cost --by tenant,model --since 30d
    """
    dimensions = [name.strip() for name in by.split(",") if name.strip()]
    rows = asyncio.run(_read(load_app(app, database), dimensions, since))
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows]))
        return
    table = Table(*dimensions, "runs", "calls", "failed", "tokens in", "tokens out", "cost", box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            *(str(row.dimensions[name] if row.dimensions[name] is not None else "-") for name in dimensions),
            f"{row.runs:,}",
            f"{row.calls:,}",
            f"{row.failed:,}",
            f"{row.input_tokens:,}",
            f"{row.output_tokens:,}",
            money(row.cost_usd) + (f" and {row.unpriced:,} calls of unknown cost" if row.unpriced else ""),
        )
    console.print(table)


async def _read(app: App, dimensions: list[str], since: str | None) -> list[CostRow]:
    async with app:
        return await cost_by(app.ledger, dimensions, since=parse_since(since, app.clock.now()))

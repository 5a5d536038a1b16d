"""flowledger cost reconcile: the ledger beside what a provider says it charged."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, within
from engine.cli.render import console
from engine.errors import InputError
from engine.reports.invoice import Columns, InvoiceRow, read_invoice
from engine.reports.invoice import reconcile as put_beside


def reconcile(
    invoice: Annotated[Path, typer.Option("--invoice", help="The provider's export of costs or usage, a CSV file.")],
    provider: Annotated[
        str | None, typer.Option("--provider", help="Whose calls are looked at, as in openai; else everybody's.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="The share by which a day may differ, as in 0.01.")
    ] = 0.01,
    column: Annotated[
        list[str] | None, typer.Option("--column", help="A column that is not found by itself: day, model or usd=NAME.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", help="Only lines of the file with this, as in project_id=proj_1.")
    ] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the ledger beside a provider's invoice, by day and model; exit 1 if they differ by more than the tolerance.

    Example: flowledger cost reconcile --invoice costs.csv --provider openai
    """
    named = _pairs("--column", column or ())
    if wrong := [name for name in named if name not in ("day", "model", "usd")]:
        raise InputError(f"--column {wrong[0]}: name day, model or usd, as in --column usd=AMOUNT")
    said = read_invoice(invoice, Columns(**named), _pairs("--where", where or ()))
    loaded = load_app(app, database)
    rows = asyncio.run(within(loaded, lambda: put_beside(loaded.ledger, said, provider=provider, tolerance=tolerance)))
    if as_json:
        typer.echo(json.dumps({"unit": said.unit, "rows": [row.to_json() for row in rows]}))
    else:
        _show(rows, said.unit)
    if not all(row.within for row in rows):
        raise typer.Exit(1)


def _pairs(option: str, said: Sequence[str]) -> dict[str, str]:
    pairs = {name: value for name, _, value in (one.partition("=") for one in said)}
    if bad := [name for name, value in pairs.items() if not name or not value]:
        raise InputError(f"{option} {bad[0]!r}: write NAME=VALUE")
    return pairs


def _show(rows: Sequence[InvoiceRow], unit: str) -> None:
    numbers = [Column(name, justify="right") for name in (f"ours, {unit}", "theirs", "difference")]
    table = Table("day", "model", *numbers, "", box=None, pad_edge=False)
    for row in rows:
        amounts = (row.ours, row.theirs, row.difference)
        told = [f"{amount:,.6f}".rstrip("0").rstrip(".") for amount in amounts]
        colour = "green" if row.within else "red"
        why = f"[{colour}]{'agrees' if row.within else escape(row.why)}[/{colour}]"
        table.add_row(row.day, escape(row.model or "all"), *told, why)
    console.print(table if rows else "the invoice charges nothing")

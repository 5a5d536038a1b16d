"""flowledger cost: what was spent, by whatever asks, and what of it helped nobody."""

import asyncio
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.bar import Bar
from rich.markup import escape
from rich.table import Column, Table

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, SinceOption, UntilOption, parse_since
from engine.cli.per_outcome import show_per_outcome
from engine.cli.reconcile import reconcile
from engine.cli.render import console, money
from engine.errors import InputError
from engine.reports.bars import as_svg
from engine.reports.cost import CostRow, cost_by
from engine.reports.dimensions import DIMENSIONS, WASTED
from engine.reports.per_outcome import GROUPS, OutcomeRow, cost_per_outcome
from engine.reports.routes import Savings, savings
from engine.reports.thinning import thinned_to
from engine.store.cost_versions import version_named
from engine.usage import to_usd

commands = typer.Typer(invoke_without_command=True)
commands.command("reconcile")(reconcile)

_BAR = 40  # columns of the longest bar


@dataclass(frozen=True, slots=True)
class _Found:
    rows: Sequence[CostRow]
    uses: Sequence[CostRow]
    saved: Savings


@commands.callback()
def cost(
    context: typer.Context,
    by: Annotated[
        str | None,
        typer.Option("--by", help=f"Dimensions with commas: {', '.join(DIMENSIONS)} [default: workflow,model]."),
    ] = None,
    per_outcome: Annotated[
        bool, typer.Option("--per-outcome", help=f"Cost of each success instead, by {', '.join(GROUPS)}.")
    ] = False,
    since: SinceOption = None,
    until: UntilOption = None,
    cost_version: Annotated[
        str,
        typer.Option(
            "--cost-version", help="Whose costs: recorded, latest, or the number of a version of `prices reprice`."
        ),
    ] = "recorded",
    exact: Annotated[
        bool, typer.Option("--exact", help="Read every run, however many there are; it may take long.")
    ] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Show bars instead of a table.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write the bars to this SVG file, too.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV for spreadsheets.")] = False,
    as_json: JsonOption = False,
    app: AppOption = None,
    database: DatabaseOption = None,
) -> None:
    """Add up calls, tokens and cost; or say what a successful outcome costs.

    Example: flowledger cost --by tenant,model --since 30d
    """
    if context.invoked_subcommand is not None:
        return
    if as_json + as_csv + plot > 1:
        raise InputError("--json, --csv and --plot are three ways to print the same: choose one")
    named = by if by is not None else "workflow" if per_outcome else "workflow,model"
    dimensions = [name.strip() for name in named.split(",") if name.strip()]
    asked = _Asked(dimensions, since, until, cost_version, exact)
    loaded = load_app(app, database)
    if per_outcome:
        if plot or svg is not None:
            raise InputError("--per-outcome has no bars: leave --plot and --svg out")
        if exact:
            raise InputError("--per-outcome reads every run: leave --exact out")
        _print_per_outcome(asyncio.run(_read_per_outcome(loaded, asked)), dimensions, as_json=as_json, as_csv=as_csv)
        return
    found = asyncio.run(_read(loaded, asked, in_words=not (as_json or as_csv)))
    if svg is not None:
        _write(svg, f"Cost by {', '.join(dimensions)} in USD", found.rows)
    rows = [row.to_json() for row in found.rows]
    if as_json:
        typer.echo(json.dumps(rows))
    elif as_csv:
        _print_csv(rows, [*dimensions, *CostRow.names])
    else:
        _plot(found.rows) if plot else _show(dimensions, found.rows)
        _show_waste(found.uses)
        _show_thinning(found)
        _show_savings(found.saved)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of the ledger, as it was typed."""

    by: list[str]
    since: str | None
    until: str | None
    cost_version: str
    exact: bool

    async def bounds(self, app: App) -> dict[str, Any]:
        """Give what every report takes."""
        now = app.clock.now()
        return {
            "since": parse_since(self.since, now),
            "until": parse_since(self.until, now, "--until"),
            "cost_version": await version_named(app.ledger, self.cost_version),
        }


async def _read(app: App, asked: _Asked, *, in_words: bool) -> _Found:
    """Read what is asked; and, if it is told in words, what helped nobody and what was saved."""
    async with app:
        bounds = await asked.bounds(app)
        time = {"since": bounds["since"], "until": bounds["until"]}

        async def added_up(by: list[str]) -> list[CostRow]:
            one_in = 1 if asked.exact else await thinned_to(app.ledger, by, **time)
            return await cost_by(app.ledger, by, **bounds, one_in=one_in)

        rows = await added_up(asked.by)
        if not in_words:
            return _Found(rows, (), Savings(0, 0))
        uses = rows if asked.by == ["use"] else await added_up(["use"])
        return _Found(rows, uses, await savings(app.ledger, **time))


async def _read_per_outcome(app: App, asked: _Asked) -> list[OutcomeRow]:
    async with app:
        return await cost_per_outcome(app.ledger, asked.by, **await asked.bounds(app))


def _print_per_outcome(rows: list[OutcomeRow], by: list[str], *, as_json: bool, as_csv: bool) -> None:
    plain = [row.to_json() for row in rows]
    if as_json:
        typer.echo(json.dumps(plain))
    elif as_csv:
        _print_csv(plain, [*by, *OutcomeRow.names])
    else:
        show_per_outcome(by, rows)


def _print_csv(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _label(row: CostRow) -> str:
    return " · ".join("-" if value is None else str(value) for value in row.dimensions.values())


def _total(rows: Sequence[CostRow]) -> Decimal:
    return sum((row.cost_usd or Decimal(0) for row in rows), Decimal(0))


def _share(row: CostRow, total: Decimal) -> str:
    return "" if row.cost_usd is None or not total else f"{row.cost_usd / total:.1%}"


def _cost(row: CostRow) -> str:
    if not row.unpriced:
        return money(row.cost_usd)
    held = f", held at {money(row.held_usd)}" if row.held_usd else ""
    return f"{money(row.cost_usd)} and {row.unpriced:,} calls of unknown cost{held}"


def _show(dimensions: Sequence[str], rows: Sequence[CostRow]) -> None:
    numbers = [Column(name, justify="right") for name in ("runs", "calls", "failed", "tokens in", "tokens out")]
    per = [Column(name, justify="right") for name in ("share", "per succeeded run", "per success")]
    table = Table(*dimensions, *numbers, "cost", *per, box=None, pad_edge=False)
    total = _total(rows)
    for row in rows:
        table.add_row(
            *(escape("-" if value is None else str(value)) for value in row.dimensions.values()),
            *(f"{many:,}" for many in (row.runs, row.calls, row.failed, row.input_tokens, row.output_tokens)),
            _cost(row),
            _share(row, total),
            *("-" if usd is None else money(usd) for usd in (row.usd_per_succeeded, row.usd_per_success)),
        )
    console.print(table)


def _plot(rows: Sequence[CostRow]) -> None:
    longest = max((row.cost_usd or Decimal(0) for row in rows), default=Decimal(0))
    table = Table(box=None, pad_edge=False, show_header=False)
    for row in rows:
        bar = Bar(float(longest or 1), 0, float(row.cost_usd or 0), width=_BAR)
        table.add_row(escape(_label(row)), bar, _cost(row), _share(row, _total(rows)))
    console.print(table)


def _write(file: Path, title: str, rows: Sequence[CostRow]) -> None:
    bars = [(_label(row), float(row.cost_usd or 0), _cost(row)) for row in rows]
    try:
        file.write_text(as_svg(title, bars), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"--svg {file} cannot be written: {error.strerror}: name a file in a folder that is"
        ) from error


def _show_waste(uses: Sequence[CostRow]) -> None:
    """Say in a line what helped nobody."""
    wasted = [row for row in uses if row.dimensions["use"] in WASTED]
    if not wasted:
        return
    total, lost = _total(uses), _total(wasted)
    parts = ", ".join(f"{row.dimensions['use']} {_cost(row)}" for row in wasted)
    share = f" ({lost / total:.1%})" if total else ""
    console.print(f"wasted: {money(lost)} of {money(total)}{share}: {parts}", markup=False)


def _show_thinning(found: _Found) -> None:
    """Say which of the figures are estimates, and how sure the largest of them is."""
    for name, rows in (("the table", found.rows), ("what was wasted", found.uses)):
        if rows and rows[0].one_in > 1:
            sure = "" if rows[0].margin is None else f"; the dearest row is known to ±{rows[0].margin:.1%}"
            console.print(
                f"{name} is estimated from 1 in {rows[0].one_in} runs{sure} (--exact reads all)", markup=False
            )


def _show_savings(saved: Savings) -> None:
    """Say in a line what was not spent."""
    parts = [
        f"{name} {money(to_usd(nano_usd))}"
        for name, nano_usd in (("cache", saved.cache), ("routing", saved.routing))
        if nano_usd
    ]
    if parts:
        console.print(f"saved: {', '.join(parts)}", markup=False)

"""flowledger health: how well calls go, by whatever asks."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, parse_since, within
from engine.cli.render import console, moment, money
from engine.errors import InputError
from engine.reports.health import GROUPS, Health, HealthRow
from engine.reports.health import health as read_health
from engine.reports.health_page import to_html
from engine.statistics.intervals import Interval
from engine.usage import to_usd


def health(
    since: Annotated[
        str, typer.Option("--since", help="What began since: 30m, 12h, 7d, or a date like 2026-01-31.")
    ] = "1d",
    by: Annotated[str, typer.Option("--by", help=f"What calls are told apart by: {', '.join(GROUPS)}.")] = "operation",
    page: Annotated[
        Path | None, typer.Option("--html", help="Draw it in this file too: one page with plots that loads nothing.")
    ] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how long calls take, how often they fail, and what else went other than well; those that fail most first.

    Example: flowledger health --since 1d --by node,tool
    """
    loaded = load_app(app, database)
    names = [name.strip() for name in by.split(",") if name.strip()]

    async def work() -> Health:
        now = loaded.clock.now()
        return await read_health(loaded.ledger, names, since=parse_since(since, now) or now, now=now)

    found = asyncio.run(within(loaded, work))
    if page is not None:
        try:
            page.write_text(to_html(found, names), encoding="utf-8")
        except OSError as error:
            raise InputError(f"--html {page} cannot be written: {error.strerror}") from error
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        _show(names, found)


def _show(names: list[str], found: Health) -> None:
    numbers = [
        Column(name, justify="right") for name in ("calls", "failed (95 %)", "p50", "p95", "p99 s", "tokens", "cost")
    ]
    table = Table(*names, *numbers, box=None, pad_edge=False)
    for row in found.rows:
        tokens = f"{row.input_tokens + row.output_tokens:,}"
        cost = money(to_usd(row.nano_usd)) + (f" and {row.unpriced:,} unknown" if row.unpriced else "")
        took = [f"{value:.3g} {_ends(ends)}" for value, ends in row.seconds.values()] or ["-"] * 3
        told = (escape("-" if value is None else str(value)) for value in row.dimensions.values())
        table.add_row(*told, f"{row.calls:,}", _failed(row), *took, tokens, cost)
    console.print(table if found.rows else "no call has begun in this time")
    for line in _lines(found):
        console.print(line, markup=False)


def _failed(row: HealthRow) -> str:
    return f"{row.failed / row.calls:.1%} ({row.failure.low:.1%} to {row.failure.high:.1%})"


def _ends(interval: Interval) -> str:
    low, high = ("?" if end is None else f"{end:.3g}" for end in interval.to_json())
    return f"({low} to {high})"


def _lines(found: Health) -> list[str]:
    def told(name: str, counts: dict[str, int]) -> list[str]:
        return [f"{name}: {', '.join(f'{many:,} {what}' for what, many in counts.items())}"] if counts else []

    lines = [*told("runs", found.runs), *told("guardrails", found.guardrails)]
    lines += [f"fallbacks: {found.fallbacks:,}"] if found.fallbacks else []
    lines += [f"from the cache: {found.cached_steps:.1%} of steps"] if found.cached_steps else []
    lines += [f"left alone: {', '.join(found.open_breakers)}"] if found.open_breakers else []
    lines += [f"queue: the first has been due for {found.queue_lag:.0f} s"] if found.queue_lag is not None else []
    nano_usd = sum(row.nano_usd for row in found.rows)
    if found.hours > 0 and found.calls:
        tokens = sum(row.input_tokens + row.output_tokens for row in found.rows) / found.hours
        rate = money(to_usd(round(nano_usd / found.hours)))
        lines.append(f"per hour: {found.calls / found.hours:,.1f} calls, {tokens:,.0f} tokens, {rate}")
    since = moment(found.since)
    return lines + ([f"only the newest were looked at: runs that began since {since}"] if found.is_sample else [])

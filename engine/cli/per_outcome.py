"""How the command line shows what a successful outcome costs."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Column, Table

from engine.cli.render import console, money
from engine.reports.per_outcome import OutcomeRow
from engine.statistics.intervals import Interval


def show_per_outcome(dimensions: Sequence[str], rows: Sequence[OutcomeRow]) -> None:
    """Print a table of outcomes and cost, with where each figure lies."""
    numbers = [Column(name, justify="right") for name in ("runs", "judged", "successes", "success (95 %)", "value")]
    table = Table(*dimensions, *numbers, "cost", "per success (95 %)", box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            *(escape("-" if value is None else str(value)) for value in row.dimensions.values()),
            *(f"{many:,}" for many in (row.runs, row.judged, row.successes)),
            "-"
            if row.success_rate is None
            else f"{row.success_rate:.1%} ({row.share.low:.1%} to {row.share.high:.1%})",
            "-" if row.value is None else f"{row.value:,g}",
            money(row.cost_usd) + (f" and {row.unpriced:,} calls of unknown cost" if row.unpriced else ""),
            "-" if row.usd_per_success is None else f"{money(row.usd_per_success)} {_ends(row.per_success)}",
        )
    console.print(table if rows else "no run has begun in this time")


def _ends(interval: Interval) -> str:
    low, high = (None if end is None else money(round(end, 6)) for end in interval.to_json())
    if low is None and high is None:
        return "(too few runs to say how sure)"
    return f"({low or 'any'} to {high or 'any'})"

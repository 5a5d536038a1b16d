"""How the command line carries trials out, shows them in progress, and what an experiment came to."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from engine.cli.render import console, errors
from engine.definition.policies import Budget
from engine.evals.experiments import OnProgress, Plan
from engine.evals.summary import MetricRow

ConcurrencyOption = Annotated[
    int, typer.Option("--concurrency", min=1, help="How many trials are in progress at once.")
]
MaxCostOption = Annotated[
    str | None, typer.Option("--max-cost", help="What it may cost from now on, in USD, judges included.")
]


def print_metrics(rows: Sequence[MetricRow]) -> None:
    """Print the metrics of an experiment as a table."""
    numbers = [Column(name, justify="right") for name in ("mean", "95 %", "cases", "trials", "left out", "flaky")]
    table = Table("metric", *numbers, "pass^k", box=None, pad_edge=False)
    for row in rows:
        ends = [] if row.mean is None else row.mean.interval().to_json()
        table.add_row(
            escape(row.name) + ("" if row.deterministic else " [dim](judged)[/dim]"),
            "-" if row.mean is None else f"{row.mean.value:.3f}",
            " to ".join(f"{max(0, min(1, end)):.3f}" for end in ends if end is not None),
            *(f"{many:,}" for many in (row.cases, row.trials, row.left_out, len(row.flaky))),
            " ".join(f"{share:.3f}" for share in row.pass_hat),
        )
    console.print(table)


@contextmanager
def trials_bar() -> Generator[OnProgress]:
    """Show a bar on standard error while trials run."""
    columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        bar = progress.add_task("", total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def plan_of(score: list[str] | None, concurrency: int, max_cost: str | None) -> Plan:
    """Say how trials are carried out: what scores them besides, how many at once, and what they may cost in USD."""
    limit = None if max_cost is None else Budget(usd=max_cost).limits().nano_usd
    return Plan(evaluators=score or [], concurrency=concurrency, max_nano_usd=limit)

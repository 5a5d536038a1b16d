"""How the command line shows things to people: results, tables and words."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column, Table

from engine.records import RunRecord
from engine.runtime.result import RunResult
from engine.usage import to_usd

_WIDE = 200  # what reads from a pipe wants whole rows
console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
errors = Console(stderr=True, highlight=False)

_GREEN = ("succeeded", "ok", "answered")
_YELLOW = ("queued", "running", "waiting", "open", "cancelled", "interrupted", "withdrawn")
_COLOURS = {**dict.fromkeys(_GREEN, "green"), **dict.fromkeys(_YELLOW, "yellow")}


def print_result(result: RunResult, has_shown: Callable[[object], bool]) -> None:
    """Print what a run returned, but for what has been shown already, and how it went."""
    for name, value in result.output.items():
        if value in ("", None, [], {}) or has_shown(value):
            continue
        console.print(_field(name, value, alone=len(result.output) == 1), markup=False, soft_wrap=True)
    if result.error is not None:
        errors.print(f"[red]{result.status}[/red] {escape(result.error.message)}", soft_wrap=True)
    tokens = f"{result.input_tokens + result.output_tokens:,} tokens"
    parts = [f"run {result.run_id}", f"{result.workflow}@{result.version[:12]}", str(result.status)]
    parts += [f"{result.duration_s:.2f} s", f"{result.steps} steps", f"{result.calls} calls", tokens]
    errors.print(f"[dim]{'  '.join([*parts, money(result.cost_usd)])}[/dim]", soft_wrap=True)


def _field(name: str, value: Any, *, alone: bool) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in cast("list[Any]", value)):
        return "\n".join(cast("list[str]", value))
    if isinstance(value, str) and (alone or "\n" in value or len(value) > 40):
        return value
    return f"{name}: {value}"


def print_runs(runs: Sequence[RunRecord]) -> None:
    """Print runs as a table."""
    run_id = Column("run", min_width=32, no_wrap=True)
    table = Table(run_id, "workflow", "status", "began", "took", "calls", "tokens", "cost", box=None, pad_edge=False)
    for run in runs:
        table.add_row(
            run.run_id,
            escape(run.workflow),
            shown_status(run.status),
            moment(run.started_at),
            took(run.duration_ns),
            str(run.calls),
            f"{run.usage_input_tokens + run.usage_output_tokens:,}",
            money(to_usd(run.cost_nano_usd)),
        )
    console.print(table)


def shown_status(status: str) -> str:
    """Colour a status."""
    return f"[{_COLOURS.get(status, 'red')}]{status}[/{_COLOURS.get(status, 'red')}]"


def money(usd: Any) -> str:
    """Show dollars; what is not known is not zero."""
    if usd is None:
        return "cost unknown"
    return "$0" if not usd else f"{'-' if usd < 0 else ''}${abs(usd):.6f}".rstrip("0")


def took(nanoseconds: int | None) -> str:
    """Show a duration."""
    if nanoseconds is None:
        return "-"
    return f"{nanoseconds / 1e9:.2f} s" if nanoseconds >= 10**9 else f"{nanoseconds / 1e6:.1f} ms"


def moment(time: datetime) -> str:
    """Show a time in UTC, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def progress() -> Generator[Callable[[str, int, int | None], None]]:
    """Show a bar on standard error while something takes long."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as shown:
        bar = shown.add_task("", total=None)
        yield lambda what, done, total: shown.update(bar, description=what, completed=done, total=total)

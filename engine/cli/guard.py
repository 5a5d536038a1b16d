"""flowledger guard: how well a guardrail tells right from wrong on labelled rows, and what guardrails did in runs."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, SinceOption, parse_since, within
from engine.cli.render import console
from engine.definition.by_path import by_path
from engine.definition.guardrail import Guardrail, Stage
from engine.errors import DefinitionError, InputError
from engine.reports.detection import BENIGN, Detection, Row, Share, Tally, detection_of
from engine.reports.guards import GuardCost, GuardRow, guard_costs, guards

commands = typer.Typer(
    help="Guardrails: their figures on labelled rows, and what they did in runs.", no_args_is_help=True
)

_SHIPPED = "guardrails"


@commands.command("test")
def test(
    guard: Annotated[
        str, typer.Argument(help='A shipped guardrail (Pii), module:name, or JSON like {"kind": ..., ...}.')
    ],
    data: Annotated[Path, typer.Argument(help="JSON lines with label and text, or tool and args; .gz is read too.")],
    stage: Annotated[Stage, typer.Option("--stage", help="Where the texts stand.")] = Stage.RUN_INPUT,
    benign: Annotated[
        list[str] | None,
        typer.Option("--benign", help=f"A label of what should pass; else {', '.join(sorted(BENIGN))}."),
    ] = None,
    by: Annotated[str, typer.Option("--by", help="The key by which rows are told apart.")] = "source",
    as_json: JsonOption = False,
) -> None:
    """Measure what a guardrail finds and how often it is wrong, with 95 % intervals.

    Example: flowledger guard test Pii rows.jsonl --json
    """
    figures = asyncio.run(
        detection_of(guardrail_named(guard), _rows(data), stage, benign=frozenset(benign) if benign else BENIGN, by=by)
    )
    typer.echo(json.dumps(figures.to_json())) if as_json else _print(figures, by)


@commands.command("report")
def report(
    since: SinceOption = None, app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Show how often each guardrail spoke, what came of it, how long its checks took and what its judge cost.

    Example: flowledger guard report --since 7d
    """
    loaded = load_app(app, database)
    began = parse_since(since, loaded.clock.now())

    async def both() -> tuple[list[GuardRow], list[GuardCost]]:
        return await guards(loaded.ledger, since=began), await guard_costs(loaded.ledger, since=began)

    rows, costs = asyncio.run(within(loaded, both))
    if as_json:
        found = {"verdicts": [row.to_json() for row in rows], "costs": [cost.to_json() for cost in costs]}
        typer.echo(json.dumps(found))
        return
    console.print(_verdicts(rows) if rows else "no guardrail has said anything")
    if costs:
        console.print()
        console.print(_costs(costs))


def _verdicts(rows: list[GuardRow]) -> Table:
    numbers = [
        Column(name, justify="right") for name in ("fires", "in shadow", "overridden", "upheld", "runs", "succeeded")
    ]
    table = Table("guardrail", "stage", "action", *numbers, box=None, pad_edge=False)
    for row in rows:
        counts = (row.fires, row.shadow, row.overridden, row.upheld, row.runs, row.succeeded)
        table.add_row(*map(escape, (row.guardrail, row.stage, row.action)), *(f"{count:,}" for count in counts))
    return table


def _costs(costs: list[GuardCost]) -> Table:
    numbers = [Column(name, justify="right") for name in ("checks", "p50", "p95", "judged", "judge")]
    table = Table("guardrail", *numbers, box=None, pad_edge=False)
    for cost in costs:
        times = ("" if one is None else f"{one:,.2f} ms" for one in (cost.p50_ms, cost.p95_ms))
        price = f"${cost.judge_usd:,.6f}" + (f" and {cost.cost_unknown} unknown" if cost.cost_unknown else "")
        table.add_row(
            escape(cost.guardrail), f"{cost.checks:,}", *times, f"{cost.judged:,}", price if cost.judged else ""
        )
    return table


def guardrail_named(text: str) -> Guardrail:
    """Give a guardrail: a shipped one by its name, one by its path, or JSON with its fields.

    Raises:
        InputError: there is none, or it needs fields.
        DefinitionError: the path cannot be imported, or a field does not fit.
    """
    if text.lstrip().startswith("{"):
        try:
            return Guardrail.load(json.loads(text))
        except ValueError as error:
            raise InputError(f"the guardrail {text!r} is not JSON: {error}") from error
    found = by_path(text) if ":" in text else _shipped(text)
    if isinstance(found, type) and not issubclass(found, Guardrail):
        raise InputError(f"{text!r} is not a guardrail: name a Guardrail, as in Pii or package.module:Name")
    try:
        return Guardrail.load(found)
    except DefinitionError as error:
        raise InputError(f"{text} cannot be tested as it is: {error}; give it as JSON with its fields") from error


def _shipped(text: str) -> Any:
    """Find a guardrail of the package `guardrails` by its name, however it is written."""
    package = __import__(_SHIPPED)
    names = cast("list[str]", package.__all__)
    wanted = text.replace("-", "").replace("_", "").casefold()
    name = next((name for name in names if name.casefold() == wanted), None)
    if name is None:
        raise InputError(f"there is no guardrail {text!r}: name module:name, or one of {', '.join(names)}")
    return getattr(package, name)


def _rows(file: Path) -> Iterator[Row]:
    try:
        with (gzip.open if file.suffix == ".gz" else Path.open)(file, "rt", encoding="utf-8") as lines:  # pyright: ignore[reportArgumentType]
            for number, line in enumerate(lines, 1):
                if str(line).strip():
                    yield _row(file, number, str(line))
    except FileNotFoundError as error:
        raise InputError(f"there is no file {str(file)!r}: name one of JSON lines with label and text") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(file)!r} cannot be read: it is not text in UTF-8") from error
    except OSError as error:
        raise InputError(f"{str(file)!r} cannot be read: {error.strerror or error}") from error


def _row(file: Path, number: int, line: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"line {number} of {file} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise InputError(f"line {number} of {file} is not a JSON object")
    return cast("Row", row)


def _print(figures: Detection, by: str) -> None:
    numbers = [Column(name, justify="right") for name in ("rows", "recall", "false alarms")]
    table = Table(by, *numbers, box=None, pad_edge=False)
    for name, tally in sorted(figures.by_source.items()):
        table.add_row(escape(name), *_cells(tally))
    table.add_row("all", *_cells(figures.total))
    console.print(table)
    console.print(f"{figures.guard}: p50 {figures.p50_ms:.2f} ms, p99 {figures.p99_ms:.2f} ms a row", markup=False)


def _cells(tally: Tally) -> tuple[str, str, str]:
    return f"{tally.found.of + tally.alarms.of:,}", shown(tally.found), shown(tally.alarms)


def shown(share: Share) -> str:
    """Show a share with its interval."""
    if share.share is None or share.interval is None:
        return ""
    low, high = share.interval
    return f"{share.share:.1%} of {share.of:,} ({low:.1%} to {high:.1%})"

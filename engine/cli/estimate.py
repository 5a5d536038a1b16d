"""flowledger estimate: how far token estimates are off for each model, and what is learned from that."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, SinceOption, parse_since
from engine.cli.render import console
from engine.models.calibration import FEWEST_SAMPLES, Errors
from engine.price_records import CalibrationRecord
from engine.reports.estimates import EstimateRow, estimates, learn_from, samples_of


def estimate(
    since: SinceOption = None,
    model: Annotated[str | None, typer.Option("--model", help="Only calls of this model.")] = None,
    learn: Annotated[
        bool, typer.Option("--learn", help="Learn from these calls, and write that down as a new calibration.")
    ] = False,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the tokens that providers counted with what was estimated before the calls.

    Example: flowledger estimate --since 30d
    """
    loaded = load_app(app, database)

    async def work() -> tuple[Sequence[EstimateRow], Sequence[CalibrationRecord]]:
        async with loaded:
            now = loaded.clock.now()
            samples = await samples_of(loaded.ledger, since=parse_since(since, now), model=model)
            learned = await learn_from(loaded.ledger, samples, now) if learn else ()
            return await estimates(loaded.ledger, samples), learned

    rows, learned = asyncio.run(work())
    if as_json:
        found: dict[str, Any] = {"estimates": [row.to_json() for row in rows], "learned": list(map(_plain, learned))}
        typer.echo(json.dumps(found))
        return
    _show(rows)
    if learn:
        _tell(learned)


def _plain(one: CalibrationRecord) -> dict[str, Any]:
    return {
        "provider": one.provider,
        "model": one.model,
        "with_tools": one.with_tools,
        "version": one.version,
        "samples": one.samples,
        "quantiles": one.quantiles,
    }


def _show(rows: Sequence[EstimateRow]) -> None:
    if not rows:
        console.print("the ledger has no answered model call that says what it read")
        return
    headings = ("likely p50", "p95", "max", "bound p50", "p95", "max", "calibrated p50", "p95", "max", "version")
    numbers = [Column(name, justify="right") for name in ("samples", *headings)]
    table = Table("model", "tools", *numbers, box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            escape(f"{row.provider}:{row.model}"),
            "yes" if row.with_tools else "no",
            f"{row.samples:,}",
            *_shown(row.likely),
            *_shown(row.bound),
            *_shown(row.calibrated),
            "-" if row.calibration is None else str(row.calibration),
        )
    console.print(table)
    low = [f"{row.provider}:{row.model}" for row in rows if row.bound.too_low]
    if low:
        console.print(f"the bound was too low for calls of {', '.join(low)}", markup=False)


def _shown(errors: Errors | None) -> tuple[str, str, str]:
    return ("-", "-", "-") if errors is None else (f"{errors.p50:.0%}", f"{errors.p95:.0%}", f"{errors.most:.0%}")


def _tell(learned: Sequence[CalibrationRecord]) -> None:
    if not learned:
        console.print(f"nothing was learned: it takes {FEWEST_SAMPLES} calls of a model")
    for one in learned:
        tools = " with tools" if one.with_tools else ""
        ratios = ", ".join(f"{name} {ratio:g}" for name, ratio in one.quantiles.items())
        named = f"{one.provider}:{one.model}{tools}"
        console.print(f"calibration {one.version}: {named} from {one.samples:,} calls: {ratios}", markup=False)

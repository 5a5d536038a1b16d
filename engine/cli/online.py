"""flowledger eval online: what scores of sampled runs tell of all runs."""

import asyncio
import json
from functools import partial
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, parse_since, within
from engine.cli.render import console, errors
from engine.errors import InputError
from engine.evals.online import Looked
from engine.reports.online import GROUPS, OnlineRow, online_scores
from engine.store import samples


def online(
    since: Annotated[str, typer.Option("--since", help="Runs that began since: 30m, 12h, 7d, or a date.")] = "7d",
    by: Annotated[str, typer.Option("--by", help=f"What runs are told apart by: {', '.join(GROUPS)}.")] = "workflow",
    score: Annotated[
        bool, typer.Option("--score", help="First draw and score the runs that began since, as workers do.")
    ] = False,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what scores of sampled runs tell of all runs, weighted by how rarely each was drawn.

    Example: flowledger eval online --since 7d --by workflow,version
    """
    loaded = load_app(app, database)
    names = [name.strip() for name in by.split(",") if name.strip()]
    if score and not loaded.samplings:
        raise InputError("the app samples no runs: give its Evaluation online=[Sampling(workflow=...)]")

    async def work() -> tuple[Looked | None, list[OnlineRow], dict[str, dict[str, int]]]:
        begins = parse_since(since, loaded.clock.now())
        looked = await loaded.evaluate_online(since=begins) if score else None
        rows = await online_scores(loaded.ledger, names, since=begins)
        states = {
            workflow: await loaded.ledger.read(partial(samples.counts, workflow=workflow))
            for workflow in loaded.samplings
        }
        return looked, rows, states

    looked, rows, states = asyncio.run(within(loaded, work))
    if looked is not None:
        said = f"{looked.scored:,} runs scored, {looked.left:,} not drawn"
        errors.print(said + (f", {looked.failed:,} could not be scored" if looked.failed else ""))
    if as_json:
        typer.echo(json.dumps({"scores": [row.to_json() for row in rows], "samples": states}))
        return
    for workflow, counts in states.items():
        told = ", ".join(f"{many:,} {state}" for state, many in sorted(counts.items())) or "no run yet"
        console.print(f"{workflow}: {told}", markup=False)
    console.print(_table(names, rows) if rows else "no sampled run was scored in this time")


def _table(names: list[str], rows: list[OnlineRow]) -> Table:
    numbers = [Column(name, justify="right") for name in ("runs", "scored", "missing", "mean (95 %)")]
    table = Table(*names, "evaluator", *numbers, box=None, pad_edge=False)
    for row in rows:
        low, high = ("?" if end is None else f"{end:.3f}" for end in row.interval.to_json())
        told: list[Any] = [escape("-" if value is None else str(value)) for value in row.dimensions.values()]
        figures = (f"{row.mean.total:,.0f}", f"{row.mean.many:,}", f"{row.missing:,}")
        table.add_row(*told, escape(row.evaluator), *figures, f"{row.mean.value:.3f} ({low} to {high})")
    return table

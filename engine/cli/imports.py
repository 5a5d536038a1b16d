"""flowledger eval import: what an agent did elsewhere, as runs of the ledger and as an experiment."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.loading import load_app
from engine.cli.metrics import print_metrics, trials_bar
from engine.cli.options import AppOption, DatabaseOption, JsonOption, within
from engine.cli.render import console, errors
from engine.evals.imports import Imported, to_json
from engine.evals.summary import MetricRow
from engine.evals.trajectories import Format, read_trajectories


def import_runs(
    file: Annotated[Path, typer.Argument(help="Trajectories, one JSON object a line, as it is or with gzip.")],
    form: Annotated[
        Format, typer.Option("--format", help="How the file tells them: as docs/evaluation.md says, or as tau-bench.")
    ] = "trajectories",
    name: Annotated[str | None, typer.Option("--name", help="What the experiment is called; else as the file.")] = None,
    workflow: Annotated[
        str, typer.Option("--workflow", help="What the agent is called; it need not be a workflow of the app.")
    ] = "imported",
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="The dataset of its cases; else one named as the experiment.")
    ] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in recorded trajectories: a run each, with its outcome, as trials of an experiment; nothing is run.

    Example: flowledger eval import airline.jsonl.gz --format tau-bench --name gpt-4o
    """
    loaded = load_app(app, database)
    found = read_trajectories(file, form)

    async def work() -> tuple[Imported, list[MetricRow]]:
        with trials_bar() as on_progress:
            done = await loaded.import_trajectories(
                found, name=name or file.name, workflow=workflow, dataset=dataset, on_progress=on_progress
            )
        return done, list(await loaded.metrics_of(done.record))

    done, rows = asyncio.run(within(loaded, work))
    if as_json:
        typer.echo(json.dumps(to_json(done) | {"metrics": [row.to_json() for row in rows]}, default=str))
        return
    print_metrics(rows)
    known = f", {done.known:,} were there before" if done.known else ""
    console.print(f"experiment {done.record.experiment_id}: {done.runs:,} runs written{known}", markup=False)
    for why in done.refused:
        errors.print(why, markup=False, soft_wrap=True)

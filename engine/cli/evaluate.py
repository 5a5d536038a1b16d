"""flowledger eval: try workflows on datasets, score what they did, and see what came of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from engine.app import App
from engine.cli.gate import gate
from engine.cli.imports import import_runs
from engine.cli.judge import judge
from engine.cli.loading import load_app
from engine.cli.metrics import ConcurrencyOption, MaxCostOption, plan_of, print_metrics, trials_bar
from engine.cli.online import online
from engine.cli.options import AppOption, DatabaseOption, JsonOption, LimitOption, within
from engine.cli.render import console, errors, moment
from engine.errors import InputError, why_not
from engine.eval_records import ExperimentRecord
from engine.evals.case import Case, read_cases
from engine.evals.experiments import Experimented, Plan
from engine.evals.modes import Mode, changes_of
from engine.evals.summary import MetricRow
from engine.json_lines import lines_in
from engine.payloads import digest
from engine.replay.changes import Changes

commands = typer.Typer(help="Experiments: workflows over datasets.", no_args_is_help=True)
commands.command("gate")(gate)
commands.command("online")(online)
commands.command("import")(import_runs)
commands.command("judge")(judge)
ExperimentArgument = Annotated[
    str, typer.Argument(help="The experiment's name, its id, or a beginning or end that fits one only.")
]
ScoreOption = Annotated[
    list[str] | None,
    typer.Option("--score", help="An evaluator besides those of the app, as module:name; may be given more than once."),
]


@commands.command("run")
def run(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    dataset: Annotated[str, typer.Argument(help="A dataset's name, or a file of cases that ends in .jsonl.")],
    trials: Annotated[int, typer.Option("--trials", min=1, help="How often each case is run.")] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A change: model.ROLE=SPEC, prompt.NODE=TEXT or @FILE, node.NODE.FIELD=VALUE."),
    ] = None,
    version: Annotated[str | None, typer.Option("--version", help="The dataset's version; else the newest.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Only cases of this split.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="To find the experiment by.")] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Ask nobody: answer from the runs that the cases were made of.")
    ] = False,
    retrieval_only: Annotated[
        bool, typer.Option("--retrieval-only", help="Try the retrievers alone, up to where a model would be asked.")
    ] = False,
    score: ScoreOption = None,
    concurrency: ConcurrencyOption = 4,
    max_cost: MaxCostOption = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a workflow over the cases of a dataset and score the runs; tools that act, act.

    Example: flowledger eval run answer-docs cases.jsonl --trials 3
    """
    said = Changes.of(settings or ()).settings
    if recorded and retrieval_only:
        raise InputError("--recorded answers whole runs, and --retrieval-only tries a part of them: give one of them")
    mode = Mode.RECORDED if recorded else Mode.RETRIEVAL_ONLY if retrieval_only else Mode.WHOLE
    plan = plan_of(score, concurrency, max_cost)
    cases = _cases_in(dataset) if dataset.endswith(".jsonl") else []

    async def work(cast: App, plan: Plan) -> Experimented:
        named = dataset
        if cases:  # a file is a dataset of its own, named by its content
            named = f"{Path(dataset).name}@{digest([case.case_id for case in cases])[:12]}"
            await cast.add_cases(named, cases, alike=1.0)
        return await cast.experiment(
            workflow, named, trials=trials, version=version, split=split, settings=said, name=name, mode=mode, plan=plan
        )

    _carry_out(load_app(app, database), work, plan, said, as_json=as_json)


@commands.command("resume")
def resume(
    experiment: ExperimentArgument,
    score: ScoreOption = None,
    concurrency: ConcurrencyOption = 4,
    max_cost: MaxCostOption = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do what an experiment has left to do; runs that came to an end are neither made nor paid again.

    Example: flowledger eval resume 01936f2a --max-cost 2.50
    """
    plan = plan_of(score, concurrency, max_cost)
    _carry_out(
        load_app(app, database), lambda cast, plan: cast.go_on_with(experiment, plan), plan, experiment, as_json=as_json
    )


@commands.command("score")
def rescore(
    experiment: ExperimentArgument,
    score: ScoreOption = None,
    concurrency: ConcurrencyOption = 4,
    max_cost: MaxCostOption = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score the recorded runs of an experiment anew; nothing is run but judges that were not asked before.

    Example: flowledger eval score 01936f2a --score checks:is_polite
    """
    plan = plan_of(score, concurrency, max_cost)
    _carry_out(
        load_app(app, database), lambda cast, plan: cast.rescore(experiment, plan), plan, experiment, as_json=as_json
    )


@commands.command("list")
def list_them(
    limit: LimitOption = 50, app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """List experiments, newest first.

    Example: flowledger eval list
    """
    loaded = load_app(app, database)
    found = asyncio.run(within(loaded, lambda: loaded.experiments(limit)))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], default=str))
        return
    table = Table("experiment", "name", "workflow", "dataset", "trials", "began", "", box=None, pad_edge=False)
    for one in found:
        dataset = f"{one.dataset}@{one.dataset_version[:8]}" + (f" {one.split}" if one.split else "")
        state = "" if one.ended_at else "[yellow]unfinished[/yellow]"
        table.add_row(
            one.experiment_id,
            escape(one.name or ""),
            f"{escape(one.workflow)}@{one.version[:8]}",
            escape(dataset),
            str(one.trials),
            moment(one.created_at),
            state,
        )
    console.print(table if found else "there is no experiment yet: `flowledger eval run` makes one")


@commands.command("show")
def show(
    experiment: ExperimentArgument, app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Show the metrics of an experiment, with where they lie.

    Example: flowledger eval show 01936f2a
    """
    loaded = load_app(app, database)

    async def work() -> tuple[ExperimentRecord, Sequence[MetricRow]]:
        record = await loaded.experiment_named(experiment)
        return record, await loaded.metrics_of(record)

    record, rows = asyncio.run(within(loaded, work))
    if as_json:
        typer.echo(json.dumps(asdict(record) | {"metrics": [row.to_json() for row in rows]}, default=str))
    else:
        print_metrics(rows)


def _carry_out(
    app: App,
    work: Callable[[App, Plan], Awaitable[Experimented]],
    plan: Plan,
    changed: Sequence[str] | str,
    *,
    as_json: bool,
) -> None:
    """Work with a progress bar, print what came of it, and leave with 1 if something is left to do.

    What is `changed` is said by settings, or by the name of an experiment that has them.
    """

    async def whole() -> tuple[Experimented, Sequence[MetricRow]]:
        settings = (await app.experiment_named(changed)).settings if isinstance(changed, str) else changed
        async with app.with_models(changes_of(settings).models) as cast:
            with trials_bar() as on_progress:
                found = await work(cast, replace(plan, on_progress=on_progress))
            return found, await cast.metrics_of(found.record)

    try:
        found, rows = asyncio.run(within(app, whole))
    except KeyboardInterrupt:
        typer.echo("flowledger: interrupted; `flowledger eval resume` goes on with it", err=True)
        raise typer.Exit(130) from None
    record = found.record
    if as_json:
        counts = {"done": found.done, "total": found.total, "stopped": found.stopped}
        typer.echo(json.dumps(asdict(record) | counts | {"metrics": [row.to_json() for row in rows]}, default=str))
    else:
        print_metrics(rows)
        console.print(f"experiment {record.experiment_id}: {found.done:,} of {found.total:,} trials", markup=False)
    if found.done < found.total:
        why = found.stopped or "some were never run"
        errors.print(f"{why}: `flowledger eval resume {record.experiment_id}` goes on", markup=False, soft_wrap=True)
        raise typer.Exit(1)


def _cases_in(file: str) -> list[Case]:
    try:
        return read_cases(lines_in(Path(file).read_text(encoding="utf-8")), file)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the file {file} cannot be read: {why_not(error)}") from error

"""flowledger chaos: kill a workflow's processes over and over, resume its runs, and say whether anything went wrong."""

import json
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from engine.app import App
from engine.chaos.campaign import Campaign
from engine.chaos.inputs import cases_beside, read_inputs
from engine.chaos.nursery import Nursery
from engine.chaos.report import Report
from engine.chaos.verdict import ZEROS
from engine.chaos.witness import Witness
from engine.cli.loading import load_app
from engine.cli.options import AppOption, JsonOption
from engine.cli.render import console, errors
from engine.cli.run import input_of
from engine.definition.state import initial_state
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.store.database import Database

_KILLS_PER_RUN = 5
_MOST_SHOWN = 20  # faults that are printed; --json has them all


def chaos(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="The input of every run.")
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option("--from", help="Inputs, one JSON object a line; else cases.jsonl beside the workflow."),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="How many runs there are at the least.")] = 20,
    kills: Annotated[
        int | None, typer.Option("--kills", min=1, help="How many kills there are [default: five times the runs].")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="What chance draws from.")] = 0,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where the processes work [default: a temporary folder].")
    ] = None,
    app: AppOption = None,
    database: Annotated[
        str | None,
        typer.Option("--database", help="The ledger, one of its own [default: a temporary SQLite file]."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Kill a workflow's processes at every commit and at random, resume its runs, and count what went wrong.

    The runs are real: models are asked and tools act, in processes that work in a temporary folder. Exit code 1 if a
    run was lost, a call paid twice, an action repeated, a row wrong or a budget overspent.

    Example: flowledger chaos triage --runs 100 --kills 500
    """
    with _workplace(folder) as place:
        loaded = load_app(app, _absolute(database) if database else f"sqlite:///{place.folder}/runs.db")
        found = loaded.workflow(workflow)
        given = _inputs(found, values or [], inputs)
        loaded.worst_case(found)  # models are bound here once, and what is wrong with them is said before anything runs
        Database.open(loaded.database).close()
        try:
            report = _wage(loaded, found, given, place.folder, runs, kills or runs * _KILLS_PER_RUN, seed)
        except KeyboardInterrupt:
            typer.echo("flowledger: interrupted; there is no verdict", err=True)
            raise typer.Exit(130) from None
        place.is_kept = not report.is_clean
        if as_json:
            typer.echo(json.dumps(report.to_json(), ensure_ascii=False))
        else:
            _show(report, place)
    if not report.is_clean:
        raise typer.Exit(1)


class _Place:
    """The folder that the processes work in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_kept = False


@contextmanager
def _workplace(folder: Path | None) -> Generator[_Place]:
    """Give the folder; a temporary one is deleted afterwards, unless something in it is worth a look."""
    if folder is not None and not folder.is_dir():
        raise InputError(f"--folder {folder}: there is no such folder")
    place = _Place(folder.absolute() if folder else Path(tempfile.mkdtemp(prefix="flowledger-chaos-")))
    try:
        yield place
    finally:
        if folder is None and not place.is_kept:
            shutil.rmtree(place.folder, ignore_errors=True)


def _wage(
    app: App, workflow: Workflow, given: list[dict[str, Any]], folder: Path, runs: int, kills: int, seed: int
) -> Report:
    witness = Witness(folder / f"witness-{app.clock.new_id()}.jsonl")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Nursery(app, workflow.name, folder, witness) as nursery,  # before the progress bar has a thread
        Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress,
    ):
        bar = progress.add_task("kills", total=kills)
        return Campaign(
            nursery=nursery,
            app=app,
            workflow=workflow.name,
            inputs=given,
            witness=witness,
            runs=runs,
            kills=kills,
            seed=seed,
            on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
        ).wage()


def _inputs(workflow: Workflow, values: list[str], path: Path | None) -> list[dict[str, Any]]:
    """Give what the runs are given; every input fits the workflow's state."""
    if values and path is not None:
        raise InputError("give the inputs either as FIELD=VALUE or with --from, not both")
    found = cases_beside(workflow) if path is None and not values else path
    if not values and found is None:
        raise InputError(
            f"{workflow.name!r} has no cases.jsonl beside it: give an input as FIELD=VALUE, or a file with --from"
        )
    given = [input_of(workflow, values, None)] if found is None else read_inputs(found, workflow)
    for one in given:
        initial_state(workflow.state, one)
    return given


def _absolute(database: str) -> str:
    """Name a file of SQLite from the root, since the processes work elsewhere."""
    scheme, mark, rest = database.rpartition("sqlite:///") if "://" in database else ("", "", database)
    if "://" in database and not mark:
        if database.startswith("sqlite:"):
            raise InputError(f"--database {database}: a ledger in memory dies with its process; name a file")
        return database
    file, question, options = rest.partition("?")
    if scheme or file in ("", ":memory:"):
        raise InputError(f"--database {database}: a ledger in memory dies with its process; name a file")
    return f"sqlite:///{Path(file).absolute()}{question}{options}"


def _show(report: Report, place: _Place) -> None:
    verdict = report.verdict
    table = Table(box=None, pad_edge=False, show_header=False)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.kills.items()))
    rows = {
        "kills": f"{report.killed}  ({kinds})",
        "lives": f"{report.lives} processes",
        "runs": f"{report.runs}, and {report.undisturbed} undisturbed  ({_listed(verdict.statuses)})",
        "boundaries": f"{report.swept} of {report.boundaries} killed at",
        **{name: f"{verdict.zeros[kind]}" for kind, name in ZEROS.items()},
        "calls in flight at a kill": f"{verdict.cut}, {verdict.sent_again} of them sent again",
        "actions left to a person": f"{verdict.guessed}; {verdict.by_probe} settled by a probe, "
        f"{verdict.by_witness} by the witness",
        "took": f"{report.seconds:.0f} s  (seed {report.seed})",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(f"{report.workflow}@{report.version[:12]}", markup=False)
    console.print(table)
    for finding in verdict.findings[:_MOST_SHOWN]:
        errors.print(
            f"{ZEROS[finding.kind]}: run {finding.run_id}: {finding.sentence}",
            style="red",
            markup=False,
            soft_wrap=True,
        )
    if place.is_kept:
        errors.print(f"the ledger, what the witness saw and lives.log are in {place.folder}", soft_wrap=True)


def _listed(counts: Any) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))

"""flowledger index: build or refresh a collection of documents."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine.cli.loading import load_app
from engine.cli.options import AppOption, JsonOption
from engine.cli.render import console, errors
from engine.errors import ConfigurationError


def index(
    folder: Annotated[Path, typer.Argument(help="The folder with the documents.")],
    name: Annotated[str | None, typer.Option("--name", help="The collection's name [default: the folder's].")] = None,
    app: AppOption = None,
    as_json: JsonOption = False,
) -> None:
    """Index a folder of documents as a collection; only what changed is read again.

    Example: flowledger index ~/handbook --name handbook
    """
    indexer = load_app(app).indexer
    if indexer is None:
        raise ConfigurationError("this app has no index: give App(indexer=...), as in tools.documents:index_folder")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        bar = progress.add_task("reading", total=None)

        def advance(done: int, total: int, document: str) -> None:
            progress.update(bar, completed=done, total=total, description=document[-40:])

        report = indexer(folder, name or folder.resolve().name, on_progress=advance)
    if as_json:
        typer.echo(json.dumps(report.to_json()))
        return
    for document, reason in report.skipped:
        errors.print(f"skipped {document}: {reason}", markup=False, highlight=False)
    console.print(
        f"{report.collection}: {report.added} added, {report.changed} changed, {report.removed} removed, "
        f"{report.unchanged} unchanged; {report.passages} passages, version {report.version}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )

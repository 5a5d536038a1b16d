"""flowledger tape: a recorded run as a file, and files of such runs played against the code of today."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from engine.app import App
from engine.cli.guard import guardrail_named
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, RunArgument, within
from engine.cli.render import console, errors
from engine.definition.guardrail import Guardrail
from engine.errors import InputError
from engine.replay.tape_file import SUFFIX, RecordedRun

commands = typer.Typer(no_args_is_help=True, help="Recorded runs as files: regression tests that need no key.")


@commands.command("export")
def export(
    run: RunArgument,
    to: Annotated[str | None, typer.Option("--to", help="The file; else standard output.")] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option(
            help="A guardrail by its path whose masks are carried out, as in guardrails:Pii; else those of the app."
        ),
    ] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
) -> None:
    """Write a recorded run as a tape: readable JSON, the same each time, with a hash of its content.

    Example: flowledger tape export 01936f2a --redact guardrails:Pii --to tapes/refund.tape.json
    """
    loaded = load_app(app, database)
    of_app: Sequence[Guardrail] = loaded.evaluation.redact if loaded.evaluation else ()
    guardrails = [guardrail_named(path) for path in redact or ()] or of_app
    tape = asyncio.run(within(loaded, lambda: loaded.export_tape(run, guardrails)))
    text = json.dumps(tape.to_json(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    if to is None:
        typer.echo(text, nl=False)
        return
    try:
        Path(to).parent.mkdir(parents=True, exist_ok=True)
        Path(to).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--to {to}: the file cannot be written: {error}") from error
    console.print(f"{to}: {len(tape.calls):,} attempts of {len(tape.steps):,} steps", markup=False)


@commands.command("check")
def check(
    paths: Annotated[list[str], typer.Argument(help="Tapes, or folders of them (*.tape.json).")],
    app: AppOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play tapes against the code as it is, asking nobody; exit 1 if one no longer ends as it did, and say where.

    Example: flowledger tape check tapes
    """
    loaded = load_app(app)
    files = tapes_in(paths)
    found = asyncio.run(within(loaded, lambda: _play(loaded, files)))
    if as_json:
        typer.echo(json.dumps([{"tape": str(path), "difference": difference} for path, difference in found]))
    else:
        for path, difference in found:
            console.print(f"{path}: {difference or 'as it was'}", markup=False, soft_wrap=True)
    if any(difference for _, difference in found):
        raise typer.Exit(1)


async def _play(app: App, files: Sequence[Path]) -> list[tuple[Path, str | None]]:
    hidden = len(files) < 2 or not errors.is_terminal
    return [
        (path, (await app.play(RecordedRun.read(path))).difference)
        for path in track(files, "playing", console=errors, transient=True, disable=hidden)
    ]


def tapes_in(paths: Sequence[str]) -> list[Path]:
    """Give the tapes that are meant by files and folders.

    Raises:
        InputError: there is none.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        found += sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if not found:
        raise InputError(f"there is no *{SUFFIX} in {', '.join(paths)}: `flowledger tape export RUN` writes one")
    return found

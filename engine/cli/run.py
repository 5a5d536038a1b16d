"""flowledger run: run a workflow here and now."""

import asyncio
import json
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption
from engine.cli.render import Listening, print_result
from engine.definition.fits import can_hold
from engine.definition.state import fields_of
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.runtime.result import RunResult


def run(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Its input, a field at a time.")
    ] = None,
    input_file: Annotated[
        str | None, typer.Option("--input", help="A file with the input as one JSON object; - is standard input.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Who pays: kept with the run.")] = None,
    user: Annotated[str | None, typer.Option(help="Who asks: kept with the run.")] = None,
    conversation: Annotated[
        str | None, typer.Option(help="The conversation that the run continues: it hears the turns before.")
    ] = None,
    stream: Annotated[
        bool | None, typer.Option("--stream/--no-stream", help="Show steps and text as they come; else on a terminal.")
    ] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a workflow here and now, and print what it returns.

    Example: flowledger run answer-docs question="How are budgets enforced?" --json
    """
    loaded = load_app(app, database)
    given = input_of(loaded.workflow(workflow), values or [], input_file)
    shows = (sys.stderr.isatty() if stream is None else stream) and not as_json
    listening = Listening() if shows else None
    who = {"tenant": tenant, "user": user, "conversation_id": conversation}
    work = _run(loaded, workflow, given, who, listening)
    report(work, heard=listening, as_json=as_json)


def report(work: Coroutine[Any, Any, RunResult], *, heard: Listening | None, as_json: bool) -> None:
    """Run to the end, print what came of it, and leave with its exit code."""
    try:
        result = asyncio.run(work)
    except KeyboardInterrupt:
        typer.echo("flowledger: interrupted; the run is recorded as cancelled", err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        print_result(result, heard=heard)
    if result.error is not None:
        raise typer.Exit(result.error.exit_code)


async def _run(
    app: App, workflow: str, given: Mapping[str, Any], who: Mapping[str, str | None], listening: Listening | None
) -> RunResult:
    async with app:
        return await app.run(workflow, given, listener=listening, **who)


def input_of(workflow: Workflow, values: Sequence[str], input_file: str | None) -> dict[str, Any]:
    """Put the input together: the file first, fields given on the command line over it."""
    given = _from_file(input_file) if input_file else {}
    fields = fields_of(workflow.state)
    for pair in values:
        name, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"{pair!r} is not FIELD=VALUE; the fields of {workflow.name!r} are {', '.join(fields)}")
        is_text = name not in fields or can_hold(fields[name].annotation, str)
        given[name] = text if is_text else _as_json(name, text)
    return given


def _as_json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"the field {name!r} takes JSON, and {text[:80]!r} is not JSON: {error}") from error


def _from_file(name: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        value = json.loads(text)
    except OSError as error:
        raise InputError(f"--input {name}: the file cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"--input {name}: it is not JSON in UTF-8: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"--input {name}: one JSON object is expected, not a {type(value).__name__}")
    return cast("dict[str, Any]", value)

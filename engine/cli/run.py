"""flowledger run: run a workflow here and now."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import typer

from engine.app import App
from engine.cli.listening import Listening
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, within, workflow_named
from engine.cli.questions import print_waits
from engine.cli.render import print_result
from engine.definition.fits import can_hold
from engine.definition.state import fields_of
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.records import QuestionRecord, RunStatus
from engine.runtime.events import RunFinished
from engine.runtime.result import RunResult

Found = TypeVar("Found")
WAITS = 4
"""The exit code of a run that waits for a person."""


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
    events: Annotated[
        bool, typer.Option("--events", help="Print what happens as it happens, one JSON object a line.")
    ] = False,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a workflow here and now, and print what it returns.

    Example: flowledger run answer-docs question="How are budgets enforced?" --json
    """
    loaded = load_app(app, database)
    given = input_of(workflow_named(loaded, workflow), values or [], input_file)
    who = {"tenant": tenant, "user": user, "conversation_id": conversation}
    if events:
        _leave(_to_the_end(_print_events(loaded, workflow, given, who)))
        return
    shows = (sys.stderr.isatty() if stream is None else stream) and not as_json
    listening = Listening() if shows else None

    async def work() -> RunResult:
        return await loaded.run(workflow, given, **who, listener=listening)

    report(loaded, work, heard=listening, as_json=as_json)


def report(app: App, work: Callable[[], Awaitable[RunResult]], *, heard: Listening | None, as_json: bool) -> None:
    """Run to the end, print what came of it or what it waits for, and leave with its exit code."""

    async def whole() -> tuple[RunResult, list[QuestionRecord]]:
        result = await work()
        return result, await app.questions(result.run_id)

    result, asked = _to_the_end(within(app, whole))
    if as_json:
        typer.echo(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        print_result(result, heard.has_shown if heard else lambda _: False)
        print_waits(result.run_id, asked)
    _leave(result)


def _to_the_end(work: Coroutine[Any, Any, Found]) -> Found:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        typer.echo("flowledger: interrupted; the run is recorded as cancelled", err=True)
        raise typer.Exit(130) from None


def _leave(result: RunResult) -> None:
    if result.error is not None:
        raise typer.Exit(result.error.exit_code)
    if result.status is RunStatus.WAITING:
        raise typer.Exit(WAITS)


async def _print_events(app: App, workflow: str, given: Mapping[str, Any], who: Mapping[str, Any]) -> RunResult:
    async with app, aclosing(app.stream(workflow, given, **who)) as stream:
        async for event in stream:
            typer.echo(json.dumps(event.to_json(), ensure_ascii=False))
            if isinstance(event, RunFinished):
                return event.result
    raise AssertionError("the last event of a stream is RunFinished")


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

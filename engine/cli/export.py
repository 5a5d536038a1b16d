"""flowledger export: what the ledger knows, for other tools: spans of OpenTelemetry, and tables as files."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from engine.app import App
from engine.cli.export_table import table
from engine.cli.guard import guardrail_named
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, SinceOption, UntilOption, parse_since
from engine.cli.render import errors, progress
from engine.errors import InputError
from engine.exports.attributes import PROFILES
from engine.exports.bookmark import Bookmark
from engine.exports.otlp import Resource
from engine.exports.send import Collector
from engine.exports.traces import TraceExport
from engine.records import RunStatus
from engine.runtime.provenance import engine_version
from engine.store.whole_runs import RunsWanted

commands = typer.Typer(no_args_is_help=True, help="The ledger for other tools: spans of OpenTelemetry, and tables.")
commands.command("table")(table)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_FOLLOW_SECONDS = 10.0
Send = Callable[[dict[str, Any]], Awaitable[None]]


@commands.command("otlp")
def otlp(
    to: Annotated[str | None, typer.Option("--to", help="A file of JSON lines; - is standard output.")] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", help=f"A collector, as in http://localhost:4318; else {_ENDPOINTS[1]}."),
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help=f"Whose names: {', '.join(PROFILES)}.")] = "otel",
    content: Annotated[bool, typer.Option("--content", help="Give what was said, too; else only that it was.")] = False,
    redact: Annotated[
        list[str] | None,
        typer.Option(help="A guardrail whose masks are carried out, as in guardrails:Pii; else those of the app."),
    ] = None,
    run: Annotated[list[str] | None, typer.Option("--run", help="A run, by its id or a part of it.")] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", help="Only runs of this workflow.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="Only runs of this status, as in failed.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only runs for this tenant.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    bookmark: Annotated[
        Path | None, typer.Option("--bookmark", help="A file that says how far the last export came; only new runs.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what ends, until Ctrl-C.")] = False,
    service: Annotated[str, typer.Option("--service", help="The service that the spans are of.")] = "flowledger",
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give ended runs as OpenTelemetry spans, to a file or a collector; the same run is the same spans each time.

    Example: flowledger export otlp --endpoint http://localhost:4318 --since 1d --profile openinference
    """
    _check(profile, status, names_runs=bool(run), looks_for_new=bookmark is not None or follow)
    receiver = _receiver(to, endpoint)
    loaded = load_app(app, database)
    named = [guardrail_named(path) for path in redact or ()]

    async def work() -> dict[str, int]:
        async with loaded:
            now = loaded.clock.now()
            wanted = RunsWanted(
                run_ids=[(await loaded.ledger.run(one)).run_id for one in run or ()],
                workflow=workflow,
                status=status,
                tenant=tenant,
                since=parse_since(since, now),
                until=parse_since(until, now, "--until"),
            )
            export = TraceExport(
                ledger=loaded.ledger,
                wanted=wanted,
                resource=Resource(service, engine_version()),
                profile=PROFILES[profile],
                content=content,
                redact=named or (loaded.evaluation.redact if loaded.evaluation else ()),
            )
            async with _sink(loaded, to, receiver, appends=bookmark is not None) as send:
                return await _export(loaded, export, send, bookmark, follow=follow)

    _tell(asyncio.run(work()), as_json=as_json and to != "-")


def _check(profile: str, status: str | None, *, names_runs: bool, looks_for_new: bool) -> None:
    """Refuse options that do not go together.

    Raises:
        InputError: they do not.
    """
    if profile not in PROFILES:
        raise InputError(f"--profile {profile!r}: choose one of {', '.join(PROFILES)}")
    if status is not None and status not in set(RunStatus):
        raise InputError(f"--status {status!r}: a run is one of {', '.join(RunStatus)}")
    if names_runs and looks_for_new:
        raise InputError("--run names runs, and --bookmark and --follow look for new ones: leave one out")


def _tell(told: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told))
    else:
        errors.print(f"[dim]{told['runs']:,} runs, {told['spans']:,} spans[/dim]")


async def _export(app: App, export: TraceExport, send: Send, bookmark: Path | None, *, follow: bool) -> dict[str, int]:
    mark = Bookmark.read(bookmark) if bookmark is not None else Bookmark() if follow else None
    told = {"runs": 0, "spans": 0}
    while True:
        began = app.clock.now()
        with progress() as show:
            total = await export.count() if errors.is_terminal and mark is None else None
            async for request, spans, runs in export.requests(mark):
                await send(request)
                told = {"runs": told["runs"] + runs, "spans": told["spans"] + spans}
                show("runs", told["runs"], total)
        if mark is not None:
            mark.move(began)
            if bookmark is not None:
                mark.write(bookmark)
        if not follow:
            return told
        await app.clock.sleep(_FOLLOW_SECONDS)


def _receiver(to: str | None, endpoint: str | None) -> str | None:
    """Say which collector is meant; None if a file is.

    Raises:
        InputError: both, or neither, is.
    """
    if to is not None and endpoint is not None:
        raise InputError("--to is a file and --endpoint a collector: give one of them")
    if to is not None:
        return None
    found = endpoint or next(filter(None, map(os.environ.get, _ENDPOINTS)), None)
    if found is None:
        raise InputError(f"say where to: --to FILE, --to - or --endpoint URL, or set {_ENDPOINTS[1]}")
    return found


@asynccontextmanager
async def _sink(app: App, to: str | None, receiver: str | None, *, appends: bool) -> AsyncGenerator[Send]:
    if receiver is not None:
        async with Collector.at(receiver, app.clock) as collector:
            yield collector.send
        return
    with _opened(to or "-", appends=appends) as file:

        async def write(request: dict[str, Any]) -> None:
            file.write(json.dumps(request, ensure_ascii=False, separators=(",", ":")) + "\n")
            file.flush()

        yield write


def _opened(to: str, *, appends: bool) -> contextlib.AbstractContextManager[TextIO]:
    if to == "-":
        return contextlib.nullcontext(sys.stdout)
    try:
        return Path(to).open("a" if appends else "w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"--to {to} cannot be written: {error.strerror}: name a file in a folder that is") from error

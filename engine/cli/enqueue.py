"""flowledger enqueue: queue runs for workers, one or a file of them."""

import asyncio
import json
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine.app import App
from engine.batches import Queued
from engine.cli.loading import load_app
from engine.cli.options import (
    AppOption,
    DatabaseOption,
    DispatcherOption,
    JsonOption,
    parse_moment,
    parse_span,
    within,
    workflow_named,
)
from engine.cli.render import console, errors
from engine.cli.run import input_of
from engine.control_records import BatchRecord
from engine.errors import InputError, why_not
from engine.json_lines import lines_in, object_in
from engine.records import RunRecord
from engine.runtime.enqueue import DEFAULT_QUEUE, QueuePlace, RunRequest


def enqueue(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Its input, a field at a time.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", help="A file of inputs, one JSON object a line, each a run; - is standard input."),
    ] = None,
    queue: Annotated[str, typer.Option(help="The queue.")] = DEFAULT_QUEUE,
    lane: Annotated[str | None, typer.Option(help="Whose turn they share; else their tenant's.")] = None,
    resource: Annotated[str | None, typer.Option(help="What they share with runs of other lanes.")] = None,
    priority: Annotated[int, typer.Option(help="The higher, the sooner within the lane.")] = 0,
    at: Annotated[str | None, typer.Option("--at", help="Not before this moment, as in 2026-12-24T08:00.")] = None,
    in_: Annotated[str | None, typer.Option("--in", help="Not before so long from now, as in 30m.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Who pays: kept with the runs.")] = None,
    user: Annotated[str | None, typer.Option(help="Who asks: kept with the runs.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Of your own: asked again with the same key, the run that there is is given.")
    ] = None,
    batch: Annotated[
        str | None, typer.Option(help="A name for them; asked again under it, only what is not there yet is queued.")
    ] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    dispatcher: DispatcherOption = None,
    as_json: JsonOption = False,
) -> None:
    """Queue runs for workers; input guardrails see each input here, before it is stored.

    Example: flowledger enqueue triage --from messages.jsonl --tenant acme
    """
    loaded = load_app(app, database, dispatcher)
    found = workflow_named(loaded, workflow)
    if source is not None and (values or key):
        raise InputError("--from gives the inputs: leave FIELD=VALUE and --key out")
    place = QueuePlace(
        queue=queue, lane=lane, priority=priority, resource=resource, at=_moment(loaded.clock.now(), at, in_)
    )
    inputs = [input_of(found, values or [], None)] if source is None else list(_lines(source))
    requests = [RunRequest(given, tenant=tenant, user=user, place=place, key=key) for given in inputs]
    if source is None and batch is None:
        records = asyncio.run(within(loaded, lambda: loaded.enqueue_all(workflow, requests)))
        _show(records, place, None, as_json=as_json)
        return
    queued = asyncio.run(within(loaded, lambda: _enqueue(loaded, workflow, requests, batch)))
    _show(queued.runs, place, queued.batch, as_json=as_json)


async def _enqueue(app: App, workflow: str, requests: list[RunRequest], name: str | None) -> Queued:
    bar = Progress(
        *(TextColumn("queueing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
        console=errors,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        shown = bar.add_task("queueing", total=len(requests))
        return await app.enqueue_batch(
            workflow, requests, name=name, on_progress=lambda done: bar.update(shown, completed=done)
        )


def _show(records: list[RunRecord], place: QueuePlace, batch: BatchRecord | None, *, as_json: bool) -> None:
    if as_json:
        found = [{"run_id": run.run_id, "status": run.status, "batch_id": run.batch_id} for run in records]
        typer.echo(json.dumps(found))
        return
    if batch is None:
        console.print(f"{records[0].run_id} {records[0].status}", markup=False)
        return
    counts = Counter(run.status for run in records)
    said = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items())) or "no runs"
    named = shlex.quote(batch.name or batch.batch_id)
    console.print(f"{said} in the queue {place.queue}: flowledger batch {named}", markup=False, soft_wrap=True)


def _moment(now: datetime, at: str | None, span: str | None) -> datetime | None:
    if at is not None and span is not None:
        raise InputError("say --at or --in, not both")
    if span is not None:
        return now + parse_span("--in", span)
    return None if at is None else parse_moment("--at", at)


def _lines(name: str) -> Iterator[dict[str, Any]]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--from {name}: the file cannot be read: {why_not(error)}") from error
    for number, line in enumerate(lines_in(text), 1):
        if line.strip():
            yield object_in(line, f"--from {name}, line {number}")

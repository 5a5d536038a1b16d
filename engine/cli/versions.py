"""flowledger versions, diff and release: which versions there are, what is different in them, and which one is run."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, who_says, within
from engine.cli.render import console, moment, money, took
from engine.errors import InputError
from engine.replay.run_difference import OneSide, RunDifference, run_difference
from engine.replay.version_difference import VersionDifference, version_difference
from engine.replay_records import ReleaseRecord
from engine.reports.versions import VersionRow, version_rows
from engine.store import releases
from engine.usage import to_usd

commands = typer.Typer(no_args_is_help=True, help="Say which version of a workflow is run under a name.")
NameArgument = Annotated[str, typer.Argument(help="The name under which it is run: a workflow's, or one of your own.")]
ReasonOption = Annotated[str | None, typer.Option(help="Why, for the ledger.")]
ByOption = Annotated[str | None, typer.Option(help="Who says so; else the name of your account.")]


def versions(
    workflow: Annotated[str | None, typer.Argument(help="Only versions of this workflow.")] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the versions of workflows that this ledger knows: their runs, cost, and the names that point at them.

    Example: flowledger versions triage
    """
    loaded = load_app(app, database)

    async def read() -> tuple[Sequence[VersionRow], dict[str, list[str]]]:
        rows = await loaded.ledger.read(lambda connection: version_rows(connection, workflow))
        marks: dict[str, list[str]] = {}
        for one in loaded.workflows.values():
            marks.setdefault(one.version, []).append("this code")
        for name, release in (await loaded.standing()).releases.items():
            marks.setdefault(release.version or "", []).append(f"release {name}")
        return rows, marks

    rows, marks = asyncio.run(within(loaded, read))
    if as_json:
        typer.echo(json.dumps([row.to_json() | {"marks": marks.get(row.version, [])} for row in rows]))
        return
    numbers = [Column(name, justify="right") for name in ("runs", "succeeded", "cost")]
    table = Table("workflow", "version", "first seen", "last run", *numbers, "", box=None, pad_edge=False)
    for row in rows:
        last = "-" if row.last_run_at is None else moment(row.last_run_at)
        cost = money(to_usd(row.cost_nano_usd)) if row.runs else "-"
        cells = (escape(row.workflow), row.version[:12], moment(row.created_at), last, f"{row.runs:,}")
        table.add_row(*cells, f"{row.succeeded:,}", cost, escape(", ".join(marks.get(row.version, []))))
    console.print(table)


def diff(
    one: Annotated[str, typer.Argument(help="A run or a version, or a beginning of its id.")],
    other: Annotated[str, typer.Argument(help="Another of the same kind.")],
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs step by step, or two versions of a workflow: prompts as text diffs, nodes, settings and models.

    Example: flowledger diff 3f9a61 77c0de
    """
    loaded = load_app(app, database)
    found = asyncio.run(within(loaded, lambda: _compare(loaded, one, other)))
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False))
    elif isinstance(found, VersionDifference):
        for line in (*found.sentences, "", *found.lines()) if found.sentences else ("they are the same",):
            console.print(line, markup=False, soft_wrap=True)
    else:
        _show_runs(found)


async def _compare(app: App, one: str, other: str) -> RunDifference | VersionDifference:
    try:
        before, after = [await app.ledger.run(given) for given in (one, other)]
    except InputError as no_run:
        try:
            pair = [await _bundle_of(app, given) for given in (one, other)]
        except InputError as no_version:
            raise InputError(f"two runs or two versions are compared: {no_run}; {no_version}") from no_version
        return version_difference(*pair)
    if before.workflow != after.workflow:
        raise InputError(f"{before.run_id} is a run of {before.workflow!r} and {after.run_id} of {after.workflow!r}")
    return await run_difference(app.ledger, before, after)


async def _bundle_of(app: App, version: str) -> dict[str, Any]:
    """Give a version with what its last run stood on."""
    found = await app.ledger.read(lambda connection: releases.version_of(connection, version))
    runs = await app.ledger.read(lambda connection: releases.last_bundle(connection, found.version))
    bundle: dict[str, Any] = {} if runs is None else await app.ledger.value(runs)
    return bundle | {"definition": found.definition}


def _show_runs(found: RunDifference) -> None:
    numbers = [Column(name, justify="right") for name in ("tokens", "cost", "time")]
    table = Table("step", "status", *numbers, "difference", box=None, pad_edge=False)
    for pair in found.steps:
        table.add_row(
            escape(pair.name),
            _both(pair.before, pair.after, lambda side: side.status),
            _both(pair.before, pair.after, lambda side: f"{side.tokens:,}"),
            _both(pair.before, pair.after, lambda side: money(to_usd(side.nano_usd))),
            _both(pair.before, pair.after, lambda side: took(side.duration_ns)),
            escape(pair.difference or ""),
        )
    console.print(table)
    console.print(f"first difference: {found.first}" if found.first else "they are the same", markup=False)


def _both(before: OneSide | None, after: OneSide | None, show: Callable[[OneSide], str]) -> str:
    shown = ["-" if side is None else show(side) for side in (before, after)]
    return shown[0] if shown[0] == shown[1] else " > ".join(shown)


@commands.command("set")
def set_release(
    name: NameArgument,
    version: Annotated[
        str | None, typer.Argument(help="The version, or a beginning of it; else that of the code.")
    ] = None,
    reason: ReasonOption = None,
    by: ByOption = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a version run under a name from now on; queued runs that have not begun follow, others end on their own.

    Example: flowledger release set triage 3f9a61 --reason "prompt 7 passed the gate"
    """
    loaded = load_app(app, database)
    _tell(
        *asyncio.run(within(loaded, lambda: loaded.release(name, version, by=by or who_says(), reason=reason))),
        as_json=as_json,
    )


@commands.command("rollback")
def rollback(
    name: NameArgument,
    reason: ReasonOption = None,
    by: ByOption = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have run under a name what was run under it before.

    Example: flowledger release rollback triage --reason "refunds are sorted wrongly"
    """
    loaded = load_app(app, database)
    _tell(
        *asyncio.run(within(loaded, lambda: loaded.roll_back(name, by=by or who_says(), reason=reason))),
        as_json=as_json,
    )


@commands.command("history")
def history(
    name: Annotated[str | None, typer.Argument(help="Only this name.")] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was released under a name, the latest first: when, by whom and why.

    Example: flowledger release history triage
    """
    loaded = load_app(app, database)
    found = asyncio.run(within(loaded, lambda: loaded.releases_of(name)))
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found]))
        return
    table = Table("name", "version", "at", "by", "reason", box=None, pad_edge=False)
    for one in found:
        version = "the code's" if one.version is None else one.version[:12]
        cells = (escape(one.name), version, moment(one.set_at))
        table.add_row(*cells, escape(one.set_by or "-"), escape(one.reason or ""))
    console.print(table)


def _tell(record: ReleaseRecord, follow: int, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_plain(record) | {"queued_runs_that_follow": follow}))
        return
    version = "what the code says" if record.version is None else f"{record.workflow}@{record.version[:12]}"
    console.print(f"{record.name} is {version}; {follow:,} queued runs follow", markup=False)


def _plain(record: ReleaseRecord) -> dict[str, Any]:
    return asdict(record) | {"set_at": record.set_at.isoformat()}

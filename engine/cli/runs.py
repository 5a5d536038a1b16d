"""flowledger runs and flowledger show: what ran, and how it went."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import typer

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, LimitOption, SinceOption, parse_since, within
from engine.cli.render import console, print_runs
from engine.cli.travel import show_at, travelled, walk
from engine.cli.tree import Recorded, run_tree
from engine.errors import InputError
from engine.payloads import unpack
from engine.records import RunRecord, RunStatus
from engine.reports.questions import values_of
from engine.store.ledger import SqlLedger
from engine.usage import to_usd

Found = TypeVar("Found")


def runs(
    status: Annotated[str | None, typer.Option(help="Only runs of this status, as in failed.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only runs of this workflow.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only runs for this tenant.")] = None,
    batch: Annotated[str | None, typer.Option(help="Only runs of this batch, by name or id.")] = None,
    schedule: Annotated[str | None, typer.Option(help="Only runs that this schedule queued.")] = None,
    since: SinceOption = None,
    limit: LimitOption = 50,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first.

    Example: flowledger runs --status failed --since 1d
    """
    if status is not None and status not in set(RunStatus):
        raise InputError(f"--status {status!r}: a run is one of {', '.join(RunStatus)}")
    loaded = load_app(app, database)

    async def read(ledger: SqlLedger) -> list[RunRecord]:
        began = parse_since(since, loaded.clock.now())
        batch_id = None if batch is None else (await loaded.batch(batch)).batch.batch_id
        return await ledger.runs(
            status=status,
            workflow=workflow,
            tenant=tenant,
            batch_id=batch_id,
            schedule=schedule,
            since=began,
            limit=limit,
        )

    found = asyncio.run(_with_ledger(loaded, read))
    if as_json:
        typer.echo(json.dumps([_plain(run) for run in found], default=str))
    else:
        print_runs(found)


def show(
    run: Annotated[str, typer.Argument(help="The run's id, or a beginning or end that fits one run only.")],
    payloads: Annotated[bool, typer.Option("--payloads", help="Show what each step read and wrote.")] = False,
    at: Annotated[str | None, typer.Option("--at", help="Show the state at this step, as in draft or draft#2.")] = None,
    walks: Annotated[bool, typer.Option("--walk", help="Go through the state step by step, with Enter.")] = False,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the steps of a run as a tree: time, tokens, cost, attempts, verdicts and questions.

    Example: flowledger show 01936f2a
    """
    loaded = load_app(app, database)
    if at is not None or walks:
        run_id, found_states = asyncio.run(within(loaded, lambda: travelled(loaded, run)))
        walk(found_states) if at is None else show_at(run_id, found_states, at, as_json=as_json)
        return

    async def read(ledger: SqlLedger) -> tuple[Recorded, dict[str, Any], list[dict[str, Any]]]:
        found = await Recorded.of(ledger, run)
        named = {sha for step in found.steps for sha in (step.input_payload, step.update_payload) if sha}
        texts = {sha: await _value(ledger, sha) for sha in named} if payloads else {}
        return found, texts, [asdict(asked) | await values_of(ledger, asked) for asked in found.questions]

    found, texts, questions = asyncio.run(_with_ledger(loaded, read))
    if as_json:
        whole = {
            "run": _plain(found.run),
            "steps": [asdict(step) for step in found.steps],
            "calls": [asdict(call) for call in found.calls],
            "verdicts": [asdict(verdict) for verdict in found.verdicts],
            "questions": questions,
            "outcomes": [asdict(outcome) for outcome in found.outcomes],
            "left_out": found.left_out,
            "payloads": texts,
        }
        typer.echo(json.dumps(whole, default=str, ensure_ascii=False))
    else:
        shown = {sha: json.dumps(value, ensure_ascii=False) for sha, value in texts.items()}
        console.print(run_tree(found, shown), soft_wrap=True)


async def _value(ledger: SqlLedger, sha256: str) -> Any:
    contents = await ledger.contents(sha256)
    return unpack(sha256, contents.__getitem__)


async def _with_ledger(app: App, read: Callable[[SqlLedger], Awaitable[Found]]) -> Found:
    async with app:
        return await read(app.ledger)


def _plain(run: RunRecord) -> dict[str, Any]:
    cost = to_usd(run.cost_nano_usd)
    return asdict(run) | {"cost_usd": None if cost is None else f"{cost:f}"}

"""flowledger db prune: shows what of the ledger need not be kept, asks, and deletes it."""

import asyncio
import json
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, confirm, parse_older_than
from engine.cli.render import console, progress
from engine.store import retention
from engine.store.ended_runs import Amounts, Scope


def prune(
    older_than: Annotated[
        str,
        typer.Option("--older-than", help="Runs that ended, and workers last heard of, so long ago: 30d, or a date."),
    ],
    runs: Annotated[
        bool, typer.Option("--runs", help="Delete these runs from the ledger, and not only their checkpoints.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted, and delete nothing.")] = False,
    vacuum: Annotated[
        bool, typer.Option("--vacuum", help="Give the room that has become free in a SQLite file back to the disk.")
    ] = False,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete checkpoints of ended runs, gone workers and payloads that nothing refers to; shows it first and asks.

    Runs that are running or wait for a person keep all that they have. The ledger is kept, unless you say --runs.

    Example: flowledger db prune --older-than 30d
    """
    loaded = load_app(app, database)
    scope = Scope(parse_older_than(older_than, loaded.clock.now()), whole_runs=runs)

    async def work() -> dict[str, Any]:
        async with loaded:
            with progress() as on_progress:
                planned = await retention.plan(loaded.ledger, scope, on_progress)
            found: dict[str, Any] = {"older_than": scope.older_than.isoformat(), "deleted": False, **_plain(planned)}
            is_empty = not any(amount.rows for amount in planned.values())
            if not as_json:
                _show(planned, scope)
            if not (dry_run or is_empty):
                confirm("Delete this?", yes=yes, add="--yes to delete it, or --dry-run to look only")
                with progress() as on_progress:
                    pruned = await retention.prune(loaded.ledger, scope, on_progress)
                found |= {"deleted": True, **_plain(pruned.amounts), "waiting_payloads": pruned.payloads.waiting}
            if vacuum and not dry_run:
                found["bytes_before"], found["bytes_after"] = await retention.vacuum(loaded.ledger.database)
            return found

    found = asyncio.run(work())
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _tell(found)


def _plain(amounts: Amounts) -> dict[str, dict[str, int | None]]:
    return {kind: {"rows": amount.rows, "bytes": amount.bytes} for kind, amount in amounts.items()}


def _show(amounts: Amounts, scope: Scope) -> None:
    if not any(amount.rows for amount in amounts.values()):
        return
    when = f"{scope.older_than:%Y-%m-%d %H:%M:%S}"
    console.print(f"Of runs that ended, and workers last heard of, before {when}:", markup=False)
    table = Table("kind", Column("rows", justify="right"), Column("bytes", justify="right"), box=None, pad_edge=False)
    for kind, amount in amounts.items():
        table.add_row(kind, f"{amount.rows:,}", "" if amount.bytes is None else f"{amount.bytes:,}")
    console.print(table)


def _tell(found: dict[str, Any]) -> None:
    kinds: dict[str, int] = {name: value["rows"] for name, value in found.items() if isinstance(value, dict)}
    if found["deleted"]:
        console.print(f"deleted: {', '.join(f'{rows:,} {kind}' for kind, rows in kinds.items())}")
        if found["waiting_payloads"]:
            count = found["waiting_payloads"]
            console.print(f"{count:,} payloads go with the next prune, when the runs in progress have ended")
    elif not any(kinds.values()):
        console.print("there is nothing to delete")
    if "bytes_after" in found:
        console.print(f"the database took {found['bytes_before']:,} bytes and takes {found['bytes_after']:,}")

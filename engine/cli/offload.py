"""flowledger db offload: moves what only runs of long ago need out of the database, into object storage."""

import asyncio
import json
from typing import Annotated, Any

import typer

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, confirm, parse_older_than
from engine.cli.render import console, progress
from engine.store import offload as moving
from engine.store.ended_runs import Scope
from engine.store.objects import folder_of


def offload(
    folder: Annotated[str, typer.Argument(help="Where to: s3://bucket/ledger, gs://..., or a folder of this machine.")],
    older_than: Annotated[
        str, typer.Option("--older-than", help="What only runs need that ended so long ago: 90d, or a date.")
    ],
    larger_than: Annotated[
        int, typer.Option("--larger-than", min=0, metavar="BYTES", help="Leave payloads that take no more than this.")
    ] = 4096,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be moved, and move nothing.")] = False,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move long texts of old runs into object storage, where they are read as before; shows how much first and asks.

    Runs that have not ended, and whatever newer runs need, stay in the database.

    Example: flowledger db offload s3://bucket/ledger --older-than 90d
    """
    loaded, folder = load_app(app, database), folder_of(folder)
    scope = Scope(parse_older_than(older_than, loaded.clock.now()), whole_runs=True)

    async def work() -> dict[str, Any]:
        async with loaded:
            with progress() as on_progress:
                planned = await moving.plan(loaded.ledger, scope, larger_than, on_progress)
            found = {"folder": folder, "moved": False, "payloads": len(planned), "bytes": sum(planned.values())}
            if not as_json:
                console.print(f"{len(planned):,} payloads, {found['bytes']:,} bytes in the database")
            if planned and not dry_run:
                confirm("Move them?", yes=yes, add="--yes to move them, or --dry-run to look only")
                with progress() as on_progress:
                    await moving.offload(loaded.ledger, folder, planned, on_progress)
                found["moved"] = True
            return found

    found = asyncio.run(work())
    if as_json:
        typer.echo(json.dumps(found))
    elif found["moved"]:
        console.print(f"moved to {folder}", markup=False, soft_wrap=True)

"""flowledger db: where the ledger is, its schema, and what of it need not be kept."""

import json

import typer

from engine.cli import offload, prune
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption
from engine.cli.render import console
from engine.store import schema
from engine.store.database import Database

commands = typer.Typer(help="Where the ledger is, its schema, and what of it need not be kept.", no_args_is_help=True)
commands.command("prune")(prune.prune)
commands.command("offload")(offload.offload)


@commands.command("status")
def status(app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Say where the ledger is, and which schema it has and needs.

    Example: flowledger db status --database sqlite:///runs.db
    """
    opened = Database.open(load_app(app, database).database, migrate=False)
    try:
        facts = {"database": opened.safe_url, "schema": opened.schema, "needed": schema.HEAD}
    finally:
        opened.close()
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        for name, fact in facts.items():
            console.print(f"{name:10}{fact or 'none'}", markup=False, soft_wrap=True)


@commands.command("upgrade")
def upgrade(app: AppOption = None, database: DatabaseOption = None) -> None:
    """Bring the schema of the ledger up to date; what is up to date stays as it is.

    Example: flowledger db upgrade --database postgresql://user@host/ledger
    """
    opened = Database.open(load_app(app, database).database, migrate=False)
    try:
        before = opened.schema
        opened.upgrade()
    finally:
        opened.close()
    changed = "was up to date" if before == schema.HEAD else f"went from {before or 'none'} to {schema.HEAD}"
    console.print(f"{opened.safe_url}: the schema {changed}", markup=False, soft_wrap=True)

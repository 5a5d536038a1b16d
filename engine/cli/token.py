"""flowledger token: who may use the HTTP API, for which tenant, and to do what."""

import asyncio
import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, parse_span, within
from engine.cli.render import console, errors, moment
from engine.server.tokens import SCOPES, make_token
from engine.store import api_tokens

commands = typer.Typer(help="Who may use the HTTP API, and to do what.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="What people call it.")]


@commands.command("add")
def add(
    name: NameArgument,
    scopes: Annotated[list[str], typer.Option("--scope", help=f"What it may do, once for each: {', '.join(SCOPES)}.")],
    tenant: Annotated[
        str | None, typer.Option(help="Whose runs it is for; else those of no tenant, or with admin all.")
    ] = None,
    expires_in: Annotated[str | None, typer.Option("--expires-in", help="How long it is good, as in 90d.")] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token and print it; it is shown this once, and only a hash of it is kept.

    Example: flowledger token add website --tenant acme --scope runs:read --scope runs:write
    """
    loaded = load_app(app, database)
    now = loaded.clock.now()
    until = None if expires_in is None else now + parse_span("--expires-in", expires_in)
    text, token = make_token(name, scopes=scopes, tenant=tenant, now=now, expires_at=until)
    work = within(loaded, lambda: loaded.ledger.change(lambda connection: api_tokens.add(connection, token)))
    asyncio.run(work)
    if as_json:
        typer.echo(json.dumps({"name": name, "token": text}))
    else:
        typer.echo(text)
        errors.print("[dim]it is not shown again: put it where secrets are kept[/dim]")


@commands.command("list")
def list_(app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List the tokens there are: for whom, what they may do, and until when.

    Example: flowledger token list
    """
    loaded = load_app(app, database)
    tokens = asyncio.run(within(loaded, lambda: loaded.ledger.read(api_tokens.all_of)))
    if as_json:
        rows = [
            {
                "name": token.name,
                "tenant": token.tenant,
                "scopes": sorted(token.scopes),
                "created_at": token.created_at.isoformat(),
                "expires_at": token.expires_at and token.expires_at.isoformat(),
            }
            for token in tokens
        ]
        typer.echo(json.dumps(rows))
        return
    table = Table("token", "tenant", "scopes", "since", "until", box=None, pad_edge=False)
    for token in tokens:
        whose = "every" if "admin" in token.scopes else escape(token.tenant or "-")
        until = "-" if token.expires_at is None else moment(token.expires_at)
        table.add_row(escape(token.name), whose, " ".join(sorted(token.scopes)), moment(token.created_at), until)
    console.print(table if tokens else "there is no token")


@commands.command("remove")
def remove(name: NameArgument, app: AppOption = None, database: DatabaseOption = None) -> None:
    """Forget a token; servers that run take it no longer within a few seconds.

    Example: flowledger token remove website
    """
    loaded = load_app(app, database)
    work = within(loaded, lambda: loaded.ledger.change(lambda connection: api_tokens.remove(connection, name)))
    asyncio.run(work)
    console.print(f"the token {name} is good for nothing any more", markup=False)

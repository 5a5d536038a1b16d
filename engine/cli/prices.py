"""flowledger prices: what models cost, prices of your own with dates, and past calls priced anew."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, SinceOption, confirm, parse_since
from engine.cli.render import console, moment, money
from engine.errors import ConfigurationError, InputError
from engine.price_records import CostVersionRecord, PriceRecord
from engine.reports.prices import PricedModel, check_prices
from engine.reports.reprice import Repriced, price_anew
from engine.store.cost_versions import write_version
from engine.store.prices import add_price
from engine.usage import Price, to_usd

commands = typer.Typer(no_args_is_help=True, help="What models cost. Example: flowledger prices check")
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_DEAREST = Decimal(1_000_000)  # USD per million tokens; what is dearer is a slip of the hand


@commands.command("check")
def check(app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show the price of every model of the app's roles and of the ledger, and what is not known.

    Example: flowledger prices check
    """
    loaded = load_app(app, database)

    async def work() -> tuple[str, Sequence[PricedModel]]:
        async with loaded:
            ledger = loaded.ledger
            catalogue = loaded.charges.catalogue
            found = await check_prices(ledger, catalogue, loaded.clock.now(), _playing(loaded))
            return catalogue.catalogue_id, found

    catalogue_id, found = asyncio.run(work())
    if as_json:
        typer.echo(json.dumps({"catalogue_id": catalogue_id, "models": [one.to_json() for one in found]}))
    else:
        _show(catalogue_id, found)


def _playing(app: App) -> dict[str, list[tuple[str, str, Price | None]]]:
    """Give the models of each role; one that cannot be made is told of, and left out."""
    found: dict[str, list[tuple[str, str, Price | None]]] = {}
    for role in sorted(
        {role for flow in app.workflows.values() for node in flow.nodes.values() for role in node.roles}
    ):
        try:
            found[role] = [(model.provider, model.name, model.price) for model in app.models_of(role)]
        except ConfigurationError as error:
            typer.echo(f"flowledger: left out: {error}", err=True)
    return found


def _show(catalogue_id: str, found: Sequence[PricedModel]) -> None:
    prices = [Column(name, justify="right") for name in ("input", "output", "cache read", "cache write")]
    table = Table("model", "roles", *prices, "from", "calls", "last call", "unknown cost", box=None, pad_edge=False)
    for one in found:
        price = one.price
        kinds = () if price is None else (price.input, price.output, price.cache_read, price.cache_write)
        held = f", held at {money(to_usd(one.held_nano_usd))}" if one.held_nano_usd else ""
        table.add_row(
            escape(f"{one.provider}:{one.model}"),
            escape(", ".join(one.roles) or "-"),
            *("-" if kind is None else f"${kind}" for kind in kinds or [None] * 4),
            ("[red]unknown[/red]" if price is None else one.source) + (", moving alias" if one.moves else ""),
            f"{one.calls:,}",
            "-" if one.last_call_at is None else moment(one.last_call_at),
            f"{one.unpriced:,} calls{held}" if one.unpriced else "-",
        )
    console.print(table)
    console.print(f"USD per million tokens, today; catalogue {catalogue_id}", markup=False)


@commands.command("override")
def override(
    model: Annotated[str, typer.Argument(metavar="PROVIDER:MODEL", help="The model, as in openai:gpt-5-mini.")],
    price_in: Annotated[str, typer.Option("--input", help="USD per million tokens read.")],
    price_out: Annotated[str, typer.Option("--output", help="USD per million tokens written.")],
    cache_read: Annotated[str | None, typer.Option("--cache-read", help="The same, read from a cache.")] = None,
    cache_write: Annotated[str | None, typer.Option("--cache-write", help="The same, written to a cache.")] = None,
    valid_from: Annotated[
        str | None, typer.Option("--from", help="From when on: a date like 2026-01-31, or 7d ago; else from now on.")
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="Why, for whoever reads it later.")] = None,
    yes: YesOption = False,
    app: AppOption = None,
    database: DatabaseOption = None,
) -> None:
    """Give a model a price from a day on, which goes before the catalogue's; shows it first and asks.

    Example: flowledger prices override openai:gpt-5 --input 1.25 --output 10
    """
    loaded = load_app(app, database)
    provider, _, name = model.partition(":")
    if not provider or not name:
        raise InputError(f"the model {model!r} is not one: write provider:model, as in openai:gpt-5-mini")
    now = loaded.clock.now()
    record = PriceRecord(
        provider=provider,
        model=name,
        valid_from=(parse_since(valid_from, now, "--from") or now).astimezone(UTC),
        input=_dollars("--input", price_in),
        output=_dollars("--output", price_out),
        cache_read=None if cache_read is None else _dollars("--cache-read", cache_read),
        cache_write=None if cache_write is None else _dollars("--cache-write", cache_write),
        note=note,
        created_at=now,
    )

    async def work() -> None:
        async with loaded:
            ledger = loaded.ledger
            before, source = loaded.charges.catalogue.rates(provider, name, record.valid_from)
            was = "not known" if before is None else f"${before.input} in, ${before.output} out ({source})"
            console.print(f"{model} from {moment(record.valid_from)} UTC, in USD per million tokens:", markup=False)
            console.print(f"  until now: {was}", markup=False)
            cached = (
                f"${record.cache_read or record.input} cache read, ${record.cache_write or record.input} cache write"
            )
            console.print(f"  then: ${record.input} in, ${record.output} out, {cached}", markup=False)
            confirm("Write this price down?", yes=yes, add="--yes to write it")
            await add_price(ledger, record)

    asyncio.run(work())
    console.print("written; runs that begin from now on use it, and `flowledger prices reprice` prices past calls anew")


@commands.command("reprice")
def reprice(
    since: SinceOption = None,
    model: Annotated[str | None, typer.Option("--model", help="Only calls of this model.")] = None,
    yes: YesOption = False,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Price past calls anew, by the prices of their time, as a new cost version; shows the sums first and asks.

    Example: flowledger prices reprice --since 30d
    """
    loaded = load_app(app, database)

    async def work() -> dict[str, Any]:
        async with loaded:
            ledger, now = loaded.ledger, loaded.clock.now()
            catalogue, after = loaded.charges.catalogue, parse_since(since, now)
            found = await price_anew(ledger, catalogue, since=after, model=model)
            if not as_json:
                _compare(found)
            if not found.costs:
                return _sums(found, None)
            confirm("Write this as a new cost version?", yes=yes, add="--yes to write it")
            version = CostVersionRecord(
                version=0,
                created_at=now,
                price_catalogue_id=catalogue.catalogue_id,
                calls=len(found.costs),
                since=after,
                model=model,
                old_nano_usd=found.old_nano_usd,
                new_nano_usd=found.new_nano_usd,
            )
            return _sums(found, (await write_version(ledger, version, found.costs)).version)

    told = asyncio.run(work())
    if as_json:
        typer.echo(json.dumps(told))
    elif told["version"]:
        console.print(f"written as cost version {told['version']}: flowledger cost --cost-version {told['version']}")


def _sums(found: Repriced, version: int | None) -> dict[str, Any]:
    old, new = to_usd(found.old_nano_usd), to_usd(found.new_nano_usd)
    return {
        "version": version,
        "calls": len(found.costs),
        "changed": found.changed,
        "old_usd": None if old is None else f"{old:f}",
        "new_usd": None if new is None else f"{new:f}",
        "old_unknown": found.old_unknown,
        "new_unknown": found.new_unknown,
    }


def _compare(found: Repriced) -> None:
    if not found.costs:
        console.print("there is no such call whose usage is known")
        return
    console.print(f"{len(found.costs):,} calls, of which {found.changed:,} cost another amount:")
    for name, nano_usd, unknown in (
        ("before", found.old_nano_usd, found.old_unknown),
        ("now", found.new_nano_usd, found.new_unknown),
    ):
        console.print(f"  {name}: {money(to_usd(nano_usd))}" + (f" and {unknown:,} unknown" if unknown else ""))


def _dollars(option: str, text: str) -> str:
    """Read a price, and give it as plain decimal text."""
    try:
        found = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        found = Decimal("nan")
    if not found.is_finite() or not 0 <= found <= _DEAREST:
        raise InputError(f"{option} {text!r} is not a price: write USD per million tokens, as in 1.25")
    return f"{found:f}"

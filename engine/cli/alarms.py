"""flowledger alarms: how alarms stand, what happened to them, and what people say of them."""

import asyncio
import json
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.alarms.watching import event_id, told
from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, LimitOption, parse_span, who_says, within
from engine.cli.render import console, moment
from engine.errors import InputError
from engine.monitor_records import AlarmEventRecord, AlarmRecord, DeliveryRecord

commands = typer.Typer(help="Alarms: figures of the ledger that are watched.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="The alarm's name.")]
NoteOption = Annotated[str | None, typer.Option("--note", help="Why, for the ledger.")]


@commands.command("show")
def show(
    check: Annotated[
        bool,
        typer.Option("--check", help="Measure all of them now, tell their sinks, and exit with 1 if one is raised."),
    ] = False,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how alarms stand; exit code 1 if --check finds one raised.

    Example: flowledger alarms show --check
    """
    loaded = load_app(app, database)
    if check and not loaded.alarms:
        raise InputError("the app has no alarms: give it alarms=[Alarm(name=..., metric=..., above=...)]")

    async def work() -> list[AlarmRecord]:
        if check:
            await loaded.check_alarms(is_due=True)
        return await loaded.alarm_states()

    found = asyncio.run(within(loaded, work))
    declared = loaded.watched
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found]))
    elif found:
        table = Table("alarm", "status", "since", "metric", *_numbers(), "trouble", box=None, pad_edge=False)
        for one in found:
            metric = declared[one.name].metric if one.name in declared else "not in this app"
            status = f"[red]{one.status}[/red]" if one.status == "raised" else one.status
            silent = one.silenced_until is not None and one.silenced_until > loaded.clock.now()
            table.add_row(
                escape(one.name),
                status + (" (silenced)" if silent else ""),
                "-" if one.since is None else moment(one.since),
                escape(metric),
                *_figures(one),
                escape(one.trouble or ""),
            )
        console.print(table)
    else:
        console.print("no worker has looked at an alarm yet: --check does now")
    if check and any(one.status == "raised" and one.name in declared for one in found):
        raise typer.Exit(1)


@commands.command("history")
def history(
    name: Annotated[str | None, typer.Argument(help="The alarm's name; all if not given.")] = None,
    limit: LimitOption = 20,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what happened to alarms, the latest first: figures, runs that show it, what changed most, and who was told.

    Example: flowledger alarms history tools-fail
    """
    loaded = load_app(app, database)

    async def work() -> tuple[list[AlarmEventRecord], dict[str, list[DeliveryRecord]]]:
        events = await loaded.alarm_events(name, limit=limit)
        return events, await loaded.alarm_deliveries(events)

    found, sent = asyncio.run(within(loaded, work))
    if as_json:
        rows = [told(one) | {"deliveries": [_plain(to) for to in sent[event_id(one)]]} for one in found]
        typer.echo(json.dumps(rows))
        return
    for one in found:
        _tell(one)
        for to in sent[event_id(one)]:
            console.print(f"    {to.sink.partition(' ')[2]}: {_arrival(to)}", markup=False)
    if not found:
        console.print("nothing has happened")


@commands.command("acknowledge")
def acknowledge(
    name: NameArgument, note: NoteOption = None, app: AppOption = None, database: DatabaseOption = None
) -> None:
    """Say that you see to an alarm.

    Example: flowledger alarms acknowledge tools-fail --note "rolled back"
    """
    loaded = load_app(app, database)
    _said(loaded, lambda: loaded.acknowledge_alarm(name, by=who_says(), note=note))


@commands.command("silence")
def silence(
    name: NameArgument,
    span: Annotated[str, typer.Option("--for", help="How long, as in 2h; 0s ends it.")] = "1h",
    note: NoteOption = None,
    app: AppOption = None,
    database: DatabaseOption = None,
) -> None:
    """Tell no sink of an alarm for some time; what happens is written down all the same.

    Example: flowledger alarms silence tools-fail --for 2h
    """
    loaded = load_app(app, database)
    how_long: timedelta = parse_span("--for", span)
    _said(loaded, lambda: loaded.silence_alarm(name, how_long, by=who_says(), note=note))


def _said(loaded: App, work: Any) -> None:
    event = asyncio.run(within(loaded, work))
    console.print(f"{event.alarm} is {event.what}", markup=False)


def _tell(one: AlarmEventRecord) -> None:
    who = f" by {one.by}" if one.by else ""
    note = f": {one.note}" if one.note else ""
    figures = f"  {one.metric} {' '.join(_figures(one))}" if one.what in ("raised", "cleared") else ""
    console.print(f"{moment(one.at)}  {one.alarm} {one.what}{who}{note}{figures}", markup=False)
    if one.runs:
        console.print(f"    runs: {', '.join(one.runs[:3])}" + (" ..." if len(one.runs) > 3 else ""), markup=False)
    for lever in one.levers:
        console.print(f"    {lever['sentence']}", markup=False)
        console.print(f"        {lever['command']}", markup=False)


def _arrival(to: DeliveryRecord) -> str:
    if to.delivered_at is not None:
        return f"told at {moment(to.delivered_at)}"
    tries = f"{to.trouble or 'not tried yet'} (tries: {to.attempts:,})"
    return f"{tries}, and nobody tries any more" if to.next_at is None else f"{tries}, next at {moment(to.next_at)}"


def _numbers() -> list[Column]:
    return [Column(name, justify="right") for name in ("value", "95 %", "of")]


def _figures(one: AlarmRecord | AlarmEventRecord) -> tuple[str, str, str]:
    value = "-" if one.value is None else f"{one.value:.4g}"
    ends = ["?" if end is None else f"{end:.4g}" for end in (one.low, one.high)]
    return value, "" if ends == ["?", "?"] else f"({' to '.join(ends)})", f"{one.many:,}"


def _plain(one: AlarmRecord | DeliveryRecord) -> dict[str, Any]:
    times = {name: value.isoformat() for name, value in asdict(one).items() if hasattr(value, "isoformat")}
    return {**asdict(one), **times}

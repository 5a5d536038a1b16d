"""flowledger schedule: workflows that are queued whenever their time has come."""

import asyncio
import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, cast
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape
from rich.table import Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, parse_moment, who_says, within
from engine.cli.render import console, moment
from engine.cli.run import input_of
from engine.control_records import ScheduleRecord
from engine.definition.timetable import Timetable
from engine.runtime.enqueue import DEFAULT_QUEUE, QueuePlace
from engine.schedules import CatchUp, Overlap, Schedule

commands = typer.Typer(help="Workflows that are queued whenever their time has come.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="The schedule's name.")]


@commands.command("add")
def add(
    name: NameArgument,
    cron: Annotated[str, typer.Argument(help="Minute, hour, day of the month, month, day of the week.")],
    workflow: Annotated[str, typer.Argument(help="The workflow's name.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Its input, a field at a time.")
    ] = None,
    input_file: Annotated[str | None, typer.Option("--input", help="A JSON file with the input; - is stdin.")] = None,
    zone: Annotated[str, typer.Option(help="Whose clocks, as in Europe/Berlin.")] = "UTC",
    catch_up: Annotated[
        str, typer.Option(help="Where no worker was there in time: skip, latest (one run) or all (one a tick).")
    ] = "latest",
    most: Annotated[int, typer.Option(help="How many are made up for, with --catch-up all.")] = 10,
    overlap: Annotated[
        str, typer.Option(help="While the run before has not ended: allow another, or skip the tick.")
    ] = "allow",
    start: Annotated[str | None, typer.Option(help="From when on, as in 2026-12-24T08:00; else now.")] = None,
    queue: Annotated[str, typer.Option(help="The queue.")] = DEFAULT_QUEUE,
    lane: Annotated[str | None, typer.Option(help="Whose turn its runs share; else their tenant's.")] = None,
    priority: Annotated[int, typer.Option(help="The higher, the sooner within the lane.")] = 0,
    tenant: Annotated[str | None, typer.Option(help="Who pays: kept with the runs.")] = None,
    user: Annotated[str | None, typer.Option(help="Who asks: kept with the runs.")] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have workers queue a workflow whenever a cron expression says so, once a tick over all of them.

    Example: flowledger schedule add nightly "30 2 * * MON-FRI" digest topic=sales --zone Europe/Berlin
    """
    loaded = load_app(app, database)
    schedule = Schedule(
        workflow=workflow,
        cron=cron,
        zone=zone,
        given=input_of(loaded.workflow(workflow), values or [], input_file),
        tenant=tenant,
        user=user,
        place=QueuePlace(queue=queue, lane=lane, priority=priority),
        catch_up=cast("CatchUp", catch_up),
        most=most,
        overlap=cast("Overlap", overlap),
        start=None if start is None else parse_moment("--start", start),
    )
    record = asyncio.run(within(loaded, lambda: loaded.add_schedule(name, schedule, by=who_says())))
    if as_json:
        typer.echo(json.dumps(_plain(record), default=str))
    else:
        console.print(f"{name} queues {workflow} at {_by_clocks(record, record.next_at)} next", markup=False)


@commands.command("list")
def show(app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List the schedules: when each is due next, what it queued last, and what kept it from that.

    Example: flowledger schedule list
    """
    loaded = load_app(app, database)
    found = asyncio.run(within(loaded, loaded.schedules))
    if as_json:
        typer.echo(json.dumps([_plain(record) for record in found], default=str))
        return
    table = Table("name", "cron", "zone", "workflow", "next (UTC)", "last (UTC)", "last run", "", box=None)
    for record in found:
        next_at = "paused" if record.paused_at else moment(record.next_at)
        last = "-" if record.fired_at is None else moment(record.fired_at)
        named = (escape(text) for text in (record.name, record.cron, record.zone, record.workflow))
        trouble = f"[red]{escape(record.trouble)}[/red]" if record.trouble else ""
        table.add_row(*named, next_at, last, record.run_id or "-", trouble)
    console.print(table if found else "there is no schedule")


@commands.command("remove")
def remove(name: NameArgument, app: AppOption = None, database: DatabaseOption = None) -> None:
    """Forget a schedule; runs that it queued stay.

    Example: flowledger schedule remove nightly
    """
    loaded = load_app(app, database)
    asyncio.run(within(loaded, lambda: loaded.remove_schedule(name, by=who_says())))
    console.print(f"{name} is gone", markup=False)


@commands.command("pause")
def pause(name: NameArgument, app: AppOption = None, database: DatabaseOption = None) -> None:
    """Have a schedule queue nothing; what is due meanwhile is not made up for.

    Example: flowledger schedule pause nightly
    """
    loaded = load_app(app, database)
    asyncio.run(within(loaded, lambda: loaded.pause_schedule(name, by=who_says())))
    console.print(f"{name} is paused: flowledger schedule unpause {name}", markup=False)


@commands.command("unpause")
def unpause(name: NameArgument, app: AppOption = None, database: DatabaseOption = None) -> None:
    """Let a schedule go on with what is due next.

    Example: flowledger schedule unpause nightly
    """
    loaded = load_app(app, database)

    async def work() -> ScheduleRecord:
        await loaded.unpause_schedule(name, by=who_says())
        return await loaded.schedule(name)

    record = asyncio.run(within(loaded, work))
    console.print(f"{name} goes on at {_by_clocks(record, record.next_at)}", markup=False)


@commands.command("next")
def coming(
    name: NameArgument,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")] = 5,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say when a schedule is due next, by the clocks of its zone and in UTC.

    Example: flowledger schedule next nightly --count 10
    """
    loaded = load_app(app, database)
    record = asyncio.run(within(loaded, lambda: loaded.schedule(name)))
    first = record.next_at
    found = [first, *Timetable(record.cron, record.zone).coming(first, count - 1)]
    if as_json:
        typer.echo(json.dumps([at.isoformat() for at in found]))
        return
    for at in found:
        console.print(_by_clocks(record, at), markup=False)
    if record.paused_at is not None:
        console.print(f"but it is paused: flowledger schedule unpause {name}", markup=False)


def _by_clocks(record: ScheduleRecord, at: datetime) -> str:
    shown = f"{at.astimezone(ZoneInfo(record.zone)):%a %Y-%m-%d %H:%M %Z}"
    return shown if record.zone == "UTC" else f"{shown} ({moment(at)} UTC)"


def _plain(record: ScheduleRecord) -> dict[str, Any]:
    """Give a schedule as JSON, but for what workers need to see to it."""
    return {name: value for name, value in asdict(record).items() if name not in ("schedule_id", "claimed_until")}

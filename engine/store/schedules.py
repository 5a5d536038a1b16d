"""Schedules in the database: who sees to one that is due, and what is written when it has been seen to.

A worker that sees to a schedule has it alone for a while. Should it die, another sees to it, and queues nothing twice,
since the id of a run is made of the schedule and the tick.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from engine.control_records import ScheduleRecord
from engine.errors import InputError
from engine.store.control_events import note
from engine.store.hands import records_of
from engine.store.lease import time_of
from engine.store.tables import schedules

_ALONE = timedelta(seconds=30)
_ARRANGED = ("cron", "zone", "workflow", "tenant", "queue", "lane", "priority", "catch_up", "most", "overlap")


def add(connection: Connection, record: ScheduleRecord, by: str | None) -> None:
    """Write a new schedule down.

    Raises:
        InputError: there is one of this name.
    """
    if connection.execute(select(schedules).where(schedules.c.name == record.name)).first() is not None:
        raise _taken(record.name)
    try:
        connection.execute(insert(schedules).values(**asdict(record)))
    except IntegrityError as error:  # somebody else was a moment sooner
        raise _taken(record.name) from error
    note(connection, "add schedule", record.name, by, after=_arranged(record))


def remove(connection: Connection, name: str, by: str | None) -> None:
    """Delete a schedule; runs that it queued stay.

    Raises:
        InputError: there is none of this name.
    """
    before = locked(connection, name)
    connection.execute(delete(schedules).where(schedules.c.name == name))
    note(connection, "remove schedule", name, by, before=_arranged(before))


def set_paused(connection: Connection, name: str, next_at: datetime | None, by: str | None) -> None:
    """Have a schedule queue nothing, or go on with a tick that is yet to come.

    Raises:
        InputError: there is none of this name.
    """
    before = locked(connection, name)
    paused = {"paused_at": time_of(connection)} if next_at is None else {"paused_at": None, "next_at": next_at}
    connection.execute(update(schedules).where(schedules.c.name == name).values(**paused))
    what = "pause schedule" if next_at is None else "unpause schedule"
    note(connection, what, name, by, before={"paused": before.paused_at is not None}, after={"paused": next_at is None})


def locked(connection: Connection, name: str) -> ScheduleRecord:
    """Give a schedule that nobody else can change before this transaction ends.

    Raises:
        InputError: there is none of this name.
    """
    query = select(schedules).where(schedules.c.name == name).with_for_update()
    return _one(connection.execute(query).all(), name)


def named(connection: Connection, name: str) -> ScheduleRecord:
    """Give the schedule of a name.

    Raises:
        InputError: there is none.
    """
    return _one(connection.execute(select(schedules).where(schedules.c.name == name)).all(), name)


def every(connection: Connection) -> Sequence[ScheduleRecord]:
    """Give every schedule, by name."""
    return records_of(ScheduleRecord, connection.execute(select(schedules).order_by(schedules.c.name)).all())


def is_any_due(connection: Connection, workflows: Collection[str], at: datetime | None) -> bool:
    """Say whether a schedule of some workflows is due that nobody sees to."""
    query = select(schedules.c.name).where(_due(workflows, at or time_of(connection))).limit(1)
    return connection.execute(query).first() is not None


def claim_due(
    connection: Connection, workflows: Collection[str], at: datetime | None
) -> tuple[Sequence[ScheduleRecord], datetime]:
    """Give the schedules of some workflows that are due, to see to them alone, and what time it is.

    `at` is that time, if not the database's own.
    """
    now = at or time_of(connection)
    query = select(schedules).where(_due(workflows, now)).with_for_update(skip_locked=True)
    found: Sequence[ScheduleRecord] = records_of(ScheduleRecord, connection.execute(query).all())
    names = [record.name for record in found]
    connection.execute(update(schedules).where(schedules.c.name.in_(names)).values(claimed_until=now + _ALONE))
    return found, now


def seen_to(connection: Connection, schedule: ScheduleRecord, values: dict[str, Any]) -> None:
    """Write what came of a tick, unless somebody else has seen to it or has changed the schedule."""
    same = (schedules.c.schedule_id == schedule.schedule_id) & (schedules.c.next_at == schedule.next_at)
    connection.execute(update(schedules).where(same).values(**values))


def _due(workflows: Collection[str], now: datetime) -> ColumnElement[bool]:
    is_free = schedules.c.claimed_until.is_(None) | (schedules.c.claimed_until <= now)
    is_time = schedules.c.paused_at.is_(None) & (schedules.c.next_at <= now)
    return is_time & is_free & schedules.c.workflow.in_(list(workflows))


def _one(rows: Sequence[Any], name: str) -> ScheduleRecord:
    if not rows:
        raise InputError(f"there is no schedule {name!r}: `flowledger schedule list` names those that there are")
    return records_of(ScheduleRecord, rows)[0]


def _arranged(record: ScheduleRecord) -> dict[str, Any]:
    """Give what an event tells of a schedule; its input may hold what is nobody's business."""
    return {name: getattr(record, name) for name in _ARRANGED}


def _taken(name: str) -> InputError:
    return InputError(f"there is a schedule {name!r} already: give another name, or remove it first")

"""Alarms in SQL: how they stand, who looks at one that is due, what happened, and what is on its way to sinks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from engine.errors import InputError
from engine.monitor_records import AlarmEventRecord, AlarmRecord, DeliveryRecord
from engine.store.hands import records_of
from engine.store.statements import insert_once
from engine.store.tables import alarm_deliveries, alarm_events, alarms

_ALONE = timedelta(seconds=60)  # a worker that looks at an alarm has it for so long
_MOST_DELIVERIES = 50


def is_any_due(connection: Connection, names: Collection[str], now: datetime) -> bool:
    """Say whether an alarm is to be looked at, is new, or has something on its way to a sink."""
    known = select(alarms.c.name, alarms.c.next_at).where(alarms.c.name.in_(list(names)))
    found = {row.name: row.next_at for row in connection.execute(known)}
    if len(found) < len(names) or any(at <= now for at in found.values()):
        return True
    waiting = select(alarm_deliveries.c.number).where(_to_send(names, now)).limit(1)
    return connection.execute(waiting).first() is not None


def claim_due(connection: Connection, names: Collection[str], now: datetime, *, is_due: bool) -> list[AlarmRecord]:
    """Give the alarms that are due, or all if it is said that they are, to look at them alone; new ones begin as ok."""
    new = [asdict(AlarmRecord(name=name, status="ok", number=0, next_at=now, since=now)) for name in names]
    connection.execute(insert_once(alarms, connection.dialect.name), new)
    is_free = or_(alarms.c.claimed_until.is_(None), alarms.c.claimed_until <= now)
    query = select(alarms).where(alarms.c.name.in_(list(names)), is_free)
    query = query if is_due else query.where(alarms.c.next_at <= now)
    found = records_of(AlarmRecord, connection.execute(query.with_for_update(skip_locked=True)).all())
    mine = alarms.c.name.in_([one.name for one in found])
    connection.execute(update(alarms).where(mine).values(claimed_until=now + _ALONE))
    return found


def looked(
    connection: Connection,
    before: AlarmRecord,
    values: Mapping[str, Any],
    event: AlarmEventRecord | None,
    deliveries: Sequence[DeliveryRecord],
) -> bool:
    """Write what was measured and what happened, unless something has happened meanwhile; say whether it was."""
    same = (alarms.c.name == before.name) & (alarms.c.number == before.number)
    number = {} if event is None else {"number": event.number}
    if not connection.execute(update(alarms).where(same).values(**values, **number, claimed_until=None)).rowcount:
        return False
    if event is not None:
        connection.execute(insert(alarm_events).values(**asdict(event)))
    if deliveries:
        connection.execute(insert(alarm_deliveries), [asdict(one) for one in deliveries])
    return True


def say(connection: Connection, name: str, event: AlarmEventRecord, values: Mapping[str, Any]) -> AlarmEventRecord:
    """Write down what a person says of an alarm, under the next number.

    Raises:
        InputError: no worker has looked at an alarm of this name yet.
    """
    query = select(alarms).where(alarms.c.name == name).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        raise InputError(
            f"no worker has looked at an alarm {name!r}: `flowledger alarms show` names those that there are"
        )
    event.number, event.value, event.low, event.high, event.many = (
        row.number + 1,
        row.value,
        row.low,
        row.high,
        row.many,
    )
    connection.execute(update(alarms).where(alarms.c.name == name).values(**values, number=event.number))
    connection.execute(insert(alarm_events).values(**asdict(event)))
    return event


def every(connection: Connection) -> list[AlarmRecord]:
    """Give how alarms stand, by name."""
    return records_of(AlarmRecord, connection.execute(select(alarms).order_by(alarms.c.name)).all())


def events(connection: Connection, name: str | None, limit: int) -> list[AlarmEventRecord]:
    """Give what happened, the latest first."""
    query = select(alarm_events).order_by(alarm_events.c.at.desc(), alarm_events.c.number.desc()).limit(limit)
    query = query if name is None else query.where(alarm_events.c.alarm == name)
    return records_of(AlarmEventRecord, connection.execute(query).all())


def claim_deliveries(
    connection: Connection, names: Collection[str], now: datetime
) -> list[tuple[DeliveryRecord, AlarmEventRecord]]:
    """Give what is to be sent now of these alarms, to send it alone; what fails without a word has another minute."""
    due = select(alarm_deliveries).where(_to_send(names, now))
    due = due.order_by(alarm_deliveries.c.next_at).limit(_MOST_DELIVERIES).with_for_update(skip_locked=True)
    found: list[DeliveryRecord] = records_of(DeliveryRecord, connection.execute(due).all())
    told: list[tuple[DeliveryRecord, AlarmEventRecord]] = []
    for one in found:
        one.attempts += 1
        delivered(connection, one, {"attempts": one.attempts, "next_at": now + _ALONE})
        of_it = (alarm_events.c.alarm == one.alarm) & (alarm_events.c.number == one.number)
        rows = connection.execute(select(alarm_events).where(of_it)).all()
        told.append((one, records_of(AlarmEventRecord, rows)[0]))
    return told


def delivered(connection: Connection, one: DeliveryRecord, values: Mapping[str, Any]) -> None:
    """Write what became of a delivery."""
    table = alarm_deliveries
    it = (table.c.alarm == one.alarm) & (table.c.number == one.number) & (table.c.sink == one.sink)
    connection.execute(update(table).where(it).values(**values))


def deliveries(connection: Connection, events: Collection[tuple[str, int]]) -> list[DeliveryRecord]:
    """Give who was told of events, each by its alarm and number, or is to be, in the order of the sinks."""
    table = alarm_deliveries
    since = min((number for _, number in events), default=0)
    near = table.c.alarm.in_({alarm for alarm, _ in events}) & (table.c.number >= since)
    rows = connection.execute(select(table).where(near).order_by(table.c.number, table.c.sink)).all()
    found: list[DeliveryRecord] = records_of(DeliveryRecord, rows)
    return [one for one in found if (one.alarm, one.number) in events]


def _to_send(names: Collection[str], now: datetime) -> ColumnElement[bool]:
    """Choose what is due of these alarms: those of another app, or of another version of it, are its own to send."""
    return (alarm_deliveries.c.next_at <= now) & alarm_deliveries.c.alarm.in_(list(names))

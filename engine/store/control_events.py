"""What people said about runs, queues, schedules, breakers and caches, written with what it changed."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from engine.control_records import ControlEventRecord
from engine.store.lease import time_of
from engine.store.tables import control_events


def note(
    connection: Connection,
    what: str,
    subject: str,
    by: str | None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down what was said, in the transaction that does it."""
    values = {"at": time_of(connection), "what": what, "subject": subject, "by": by}
    connection.execute(insert(control_events).values(**values, before=dict(before or {}), after=dict(after or {})))


def said(
    connection: Connection, *, since: datetime | None, what: str | None, subject: str | None, limit: int
) -> list[ControlEventRecord]:
    """Give what was said, the latest first."""
    table = control_events
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    query = query if since is None else query.where(table.c.at >= since)
    query = query if what is None else query.where(table.c.what == what)
    query = query if subject is None else query.where(table.c.subject == subject)
    names = [one.name for one in fields(ControlEventRecord)]
    return [ControlEventRecord(**{name: getattr(row, name) for name in names}) for row in connection.execute(query)]

"""What all processes know of the targets of calls: which are left alone, and who tries one again."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from engine.records import BreakerRecord
from engine.store.control_events import note
from engine.store.hands import records_of
from engine.store.tables import breakers


def known(connection: Connection) -> Sequence[BreakerRecord]:
    """Give every target of which something is known."""
    return records_of(BreakerRecord, connection.execute(select(breakers).order_by(breakers.c.target)).all())


def begin_probe(connection: Connection, target: str, now: datetime, until: datetime) -> bool:
    """Say whether one may try a target that is left alone; from now until then nobody else may."""
    taken = breakers.c.probe_until > now
    nobody_knows = connection.execute(select(breakers.c.state).where(breakers.c.target == target)).first() is None
    mine = update(breakers).where(breakers.c.target == target, taken.is_not(True))
    return nobody_knows or connection.execute(mine.values(probe_until=until)).rowcount == 1


def reset(connection: Connection, target: str | None, now: datetime, by: str | None) -> int:
    """Close the breaker of a target, or of all; say how many were open."""
    is_meant = (breakers.c.state != "closed") & (True if target is None else breakers.c.target == target)
    opened = connection.execute(select(breakers).where(is_meant).order_by(breakers.c.target).with_for_update()).all()
    closed = {"state": "closed", "changed_at": now, "reason": "", "probe_until": None}
    for row in opened:
        connection.execute(update(breakers).where(breakers.c.target == row.target).values(**closed))
        before = {"state": row.state, "reason": row.reason}
        note(connection, "reset breaker", row.target, by, before=before, after={"state": "closed"})
    return len(opened)

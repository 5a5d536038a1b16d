"""The newest runs of a time, as many as have so many calls: what a report looks at where there are more."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, func, select

from engine.store.tables import runs


@dataclass(frozen=True, slots=True)
class Newest:
    """From which moment on runs are looked at, and whether those are all that were asked for."""

    since: datetime
    is_all: bool


def newest(connection: Connection, most_calls: int, since: datetime, *conditions: ColumnElement[bool]) -> Newest:
    """Say from when on the runs since a moment have no more than so many calls; the newest run counts in any case.

    A run tells how many calls it has when it stops; until then it is taken to have one.
    """
    latest = (
        select(runs.c.started_at, case((runs.c.calls > 0, runs.c.calls), else_=1).label("calls"))
        .where(runs.c.started_at >= since, *conditions)
        .order_by(runs.c.started_at.desc())
        .limit(most_calls + 1)
        .subquery("latest")
    )
    so_far = func.sum(latest.c.calls).over(order_by=latest.c.started_at.desc(), rows=(None, 0))
    added = select(latest.c.started_at, so_far.label("calls")).subquery("added")
    fits = added.c.calls <= most_calls
    query = select(
        func.min(case((fits, added.c.started_at))).label("first"),
        func.max(added.c.started_at).label("last"),
        func.coalesce(func.sum(case((fits, 0), else_=1)), 0).label("beyond"),
    )
    found = connection.execute(query).one()
    return Newest(since, True) if not found.beyond else Newest(found.first or found.last, False)

"""What windows of time have spent, and what runs hold of them: never more than their limits, over all processes.

A run holds an allotment of each window that it falls into. While it works it spends from that in memory; when it has
stopped, what it was charged is settled and the rest is free again. What a dead process left is held until its run ends.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from engine.ports import SpendWindow, WindowRefused
from engine.records import RunStatus
from engine.store.statements import insert_once
from engine.store.tables import calls, runs, spend_holds, spend_windows

_AT_WORK = (RunStatus.RUNNING,)


def allot(
    connection: Connection, windows: Sequence[SpendWindow], run_id: str, needed: int, wanted: int, now: datetime
) -> dict[str, int] | WindowRefused:
    """Hold what a run needs of every window, or of none.

    Args:
        connection: where it is written.
        windows: those that the run falls into.
        run_id: the run.
        needed: what it must be able to spend in all, in nano-USD, what it has spent before included.
        wanted: what it would rather have, so that it need not ask again.
        now: when.

    Returns:
        What it may spend in all by each window, by key.
    """
    allowed: dict[str, int] = {}
    for window in sorted(windows, key=lambda one: one.key):
        row = _locked(connection, window, now)
        mine = _mine(connection, window, run_id, now)
        elsewhere = _settled_elsewhere(connection, window, run_id, now)
        has = elsewhere + mine.settled_nano_usd + mine.held_nano_usd
        if needed > has:
            left = window.nano_usd - row.settled_nano_usd - row.held_nano_usd
            if needed - has > left:
                left += _settle_ended(connection, window, now)
            if needed - has > left:
                return WindowRefused(window=window, left_nano_usd=left)
            more = min(max(wanted, needed) - has, left)
            _hold(connection, window, run_id, more, now)
            has += more
        allowed[window.key] = has
    return allowed


def settle(connection: Connection, run_id: str) -> None:
    """Settle what a run was charged since it was settled last, and let go of what it held."""
    charged = connection.scalar(select(func.sum(calls.c.charged_nano_usd)).where(calls.c.run_id == run_id)) or 0
    mine = select(spend_holds).where(spend_holds.c.run_id == run_id).with_for_update()
    holds = connection.execute(mine.order_by(spend_holds.c.limit_key, spend_holds.c.begins_at)).all()
    for key in sorted({row.limit_key for row in holds}):
        rows = [row for row in holds if row.limit_key == key]
        fresh = int(charged) - sum(row.settled_nano_usd for row in rows)
        for row in rows:  # what is new was spent in the latest of its windows
            spent = fresh if row is rows[-1] else 0
            at = (spend_windows.c.limit_key == key) & (spend_windows.c.begins_at == row.begins_at)
            held, settled = spend_windows.c.held_nano_usd, spend_windows.c.settled_nano_usd
            changed = {"held_nano_usd": held - row.held_nano_usd, "settled_nano_usd": settled + spent}
            connection.execute(update(spend_windows).where(at).values(**changed))
            its = (spend_holds.c.limit_key == key) & (spend_holds.c.begins_at == row.begins_at)
            kept = {"held_nano_usd": 0, "settled_nano_usd": row.settled_nano_usd + spent}
            connection.execute(update(spend_holds).where(its, spend_holds.c.run_id == run_id).values(**kept))


def standing(connection: Connection) -> Sequence[Any]:
    """Give every window that anything was spent in, the latest first."""
    return connection.execute(
        select(spend_windows).order_by(spend_windows.c.begins_at.desc(), spend_windows.c.limit_key)
    ).all()


def _locked(connection: Connection, window: SpendWindow, now: datetime) -> Any:
    values = {"limit_key": window.key, "begins_at": window.begins(now), "held_nano_usd": 0, "settled_nano_usd": 0}
    connection.execute(insert_once(spend_windows, connection.dialect.name), values)
    return connection.execute(select(spend_windows).where(_at(spend_windows, window, now)).with_for_update()).one()


def _mine(connection: Connection, window: SpendWindow, run_id: str, now: datetime) -> Any:
    values = {"limit_key": window.key, "begins_at": window.begins(now), "run_id": run_id}
    fresh = values | {"held_nano_usd": 0, "settled_nano_usd": 0}
    connection.execute(insert_once(spend_holds, connection.dialect.name), fresh)
    mine = select(spend_holds).where(_at(spend_holds, window, now), spend_holds.c.run_id == run_id)
    return connection.execute(mine).one()


def _settled_elsewhere(connection: Connection, window: SpendWindow, run_id: str, now: datetime) -> int:
    others = select(func.sum(spend_holds.c.settled_nano_usd)).where(
        spend_holds.c.limit_key == window.key,
        spend_holds.c.run_id == run_id,
        spend_holds.c.begins_at != window.begins(now),
    )
    return int(connection.scalar(others) or 0)


def _hold(connection: Connection, window: SpendWindow, run_id: str, more: int, now: datetime) -> None:
    mine = _at(spend_holds, window, now) & (spend_holds.c.run_id == run_id)
    for table, rows in ((spend_windows, _at(spend_windows, window, now)), (spend_holds, mine)):
        connection.execute(update(table).where(rows).values(held_nano_usd=table.c.held_nano_usd + more))


def _settle_ended(connection: Connection, window: SpendWindow, now: datetime) -> int:
    """Settle runs that have ended without it, since their process died at the end; say how much that frees."""
    query = (
        select(spend_holds.c.run_id)
        .join(runs, runs.c.run_id == spend_holds.c.run_id)
        .where(_at(spend_holds, window, now), spend_holds.c.held_nano_usd > 0, runs.c.status.not_in(_AT_WORK))
    )
    before = _used(connection, window, now)
    for run_id in connection.scalars(query).all():
        settle(connection, run_id)
    return before - _used(connection, window, now)


def _used(connection: Connection, window: SpendWindow, now: datetime) -> int:
    used = spend_windows.c.held_nano_usd + spend_windows.c.settled_nano_usd
    return int(connection.scalar(select(used).where(_at(spend_windows, window, now))) or 0)


def _at(table: Any, window: SpendWindow, now: datetime) -> Any:
    return (table.c.limit_key == window.key) & (table.c.begins_at == window.begins(now))

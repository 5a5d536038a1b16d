"""Payloads set aside: renamed, so that whoever needs one writes it anew, until they get their names back or go."""

import json
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, select, text, update

from engine.records import RunStatus
from engine.store import tables
from engine.store.lease import is_alive
from engine.store.objects import OBJECT
from engine.store.payload_map import ASIDE
from engine.store.statements import insert_once

Fences = dict[str, int]
"""Runs by id, each with the fence that it had."""

_table = tables.payloads


def set_aside(connection: Connection, round_: str, chunk: Iterable[str]) -> None:
    """Rename payloads, while nobody is between finding one there and committing what refers to it."""
    _exclude_writers(connection)
    renamed = update(_table).where(_table.c.sha256.in_(list(chunk)))
    connection.execute(renamed.values(sha256=_table.c.sha256 + f"{ASIDE}{round_}"))


def wait(connection: Connection, round_: str) -> Fences:
    """Give the runs that must end before a round is deleted; those of a new round are written down."""
    runs = tables.runs.c
    found = connection.execute(select(runs.run_id, runs.fence, runs.worker_id).where(runs.status == RunStatus.RUNNING))
    rows = found.all()
    alive = {worker for worker in {row.worker_id for row in rows} if is_alive(connection, worker)}
    living: Fences = {row.run_id: row.fence for row in rows if row.worker_id in alive}
    noted = connection.scalar(select(_table.c.content).where(_table.c.sha256 == f"{ASIDE}{round_}"))
    if noted is not None:
        before: Mapping[str, int] = json.loads(noted)
        return {run_id: fence for run_id, fence in living.items() if before.get(run_id) == fence}
    if living:
        content = json.dumps(living).encode()
        values = {"sha256": f"{ASIDE}{round_}", "encoding": "identity", "size": len(content), "content": content}
        connection.execute(insert_once(_table, connection.dialect.name), values)
    return living


def put_back(connection: Connection, round_: str, chunk: Iterable[str]) -> None:
    """Give payloads their names again, unless somebody has written them anew."""
    _exclude_writers(connection)
    wanted = list(chunk)
    there = set(connection.scalars(select(_table.c.sha256).where(_table.c.sha256.in_(wanted))))
    discard(connection, round_, there)
    renamed = update(_table).where(_table.c.sha256 == bindparam("named")).values(sha256=bindparam("address"))
    names = [{"named": f"{one}{ASIDE}{round_}", "address": one} for one in wanted if one not in there]
    if names:
        connection.execute(renamed, names)


def discard(connection: Connection, round_: str, chunk: Iterable[str]) -> dict[str, list[str]]:
    """Delete payloads that are set aside; the empty address stands for what a round waits for.

    Returns:
        The folders of object storage that still hold contents of some, with their addresses.
    """
    named = _table.c.sha256.in_([f"{one}{ASIDE}{round_}" for one in chunk])
    moved: dict[str, list[str]] = {}
    found = select(_table.c.sha256, _table.c.content).where(named, _table.c.encoding == OBJECT)
    for name, folder in connection.execute(found):
        moved.setdefault(folder.decode(), []).append(name.partition(ASIDE)[0])
    connection.execute(delete(_table).where(named))
    return moved


def _exclude_writers(connection: Connection) -> None:
    """Wait for transactions that write payloads, and keep others out; SQLite has one writer as it is."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("LOCK TABLE payloads IN SHARE ROW EXCLUSIVE MODE"))

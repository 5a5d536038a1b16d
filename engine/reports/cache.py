"""What caches hold, and what they have saved."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from engine.store.ledger import SqlLedger
from engine.store.tables import cache_entries, runs, steps
from engine.usage import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRow:
    """The cache of one node.

    Attributes:
        entries: what is kept and may still be used.
        hits: visits that were answered by it.
        saved_nano_usd: what making those answers anew would have been charged, as the first time.
    """

    workflow: str
    node: str
    entries: int
    hits: int
    saved_nano_usd: int
    saved_tokens: int

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON."""
        return asdict(self) | {"saved_usd": f"{to_usd(self.saved_nano_usd):f}"}


async def caches(ledger: SqlLedger, now: datetime, *, since: datetime | None = None) -> list[CacheRow]:
    """Give the cache of every node that has one or had one, that which saved most first."""
    return await ledger.read(lambda connection: _caches(connection, now, since))


def _caches(connection: Connection, now: datetime, since: datetime | None) -> list[CacheRow]:
    held = (
        select(cache_entries.c.workflow, cache_entries.c.node_name, func.count().label("entries"))
        .where(cache_entries.c.expires_at > now)
        .group_by(cache_entries.c.workflow, cache_entries.c.node_name)
    )
    used = (
        select(
            runs.c.workflow,
            steps.c.node_name,
            func.count().label("hits"),
            func.coalesce(func.sum(steps.c.saved_nano_usd), 0).label("nano_usd"),
            func.coalesce(func.sum(steps.c.saved_tokens), 0).label("tokens"),
        )
        .join_from(steps, runs, steps.c.run_id == runs.c.run_id)
        .where(steps.c.cached)
        .group_by(runs.c.workflow, steps.c.node_name)
    )
    if since is not None:
        used = used.where(runs.c.started_at >= since)
    entries = {(row.workflow, row.node_name): row.entries for row in connection.execute(held)}
    hits = {(row.workflow, row.node_name): row for row in connection.execute(used)}
    rows = [
        CacheRow(
            workflow=workflow,
            node=node,
            entries=entries.get((workflow, node), 0),
            hits=0 if (row := hits.get((workflow, node))) is None else row.hits,
            saved_nano_usd=0 if row is None else int(row.nano_usd),
            saved_tokens=0 if row is None else int(row.tokens),
        )
        for workflow, node in sorted(entries.keys() | hits.keys())
    ]
    return sorted(rows, key=lambda row: -row.saved_nano_usd)

"""What nodes wrote and other runs may use again."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from operator import itemgetter

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select

from engine.records import CacheEntryRecord
from engine.store.control_events import note
from engine.store.ended_runs import Amount
from engine.store.hands import records_of
from engine.store.tables import cache_entries
from engine.vectors import likeness, unpacked

_LOOKED_AT = 256  # entries of one group; comparing them takes some milliseconds of Python


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which entries are meant: those that have all that is said here."""

    workflow: str | None = None
    node_name: str | None = None
    tenant: str | None = None

    def condition(self) -> ColumnElement[bool]:
        """Give what holds for them."""
        said = {name: getattr(self, name) for name in ("workflow", "node_name", "tenant")}
        return and_(True, *(cache_entries.c[name] == value for name, value in said.items() if value is not None))


def entry(connection: Connection, key: str, now: datetime) -> CacheEntryRecord | None:
    """Give what is kept under a key, unless its time is over."""
    fits = (cache_entries.c.cache_key == key) & (cache_entries.c.expires_at > now)
    found: Sequence[CacheEntryRecord] = records_of(
        CacheEntryRecord, connection.execute(select(cache_entries).where(fits)).all()
    )
    return found[0] if found else None


def nearest(
    connection: Connection, group: str, vector: str, at_least: float, now: datetime
) -> tuple[CacheEntryRecord, float] | None:
    """Give what was made for the text that is most alike, and how alike it is, among the newest of a group."""
    fits = (cache_entries.c.group_key == group) & (cache_entries.c.expires_at > now)
    query = select(cache_entries).where(fits).order_by(cache_entries.c.created_at.desc()).limit(_LOOKED_AT)
    asked = unpacked(vector)
    rows: Sequence[CacheEntryRecord] = records_of(CacheEntryRecord, connection.execute(query).all())
    alike = ((likeness(asked, unpacked(row.vector or "")), row) for row in rows)
    found = max((pair for pair in alike if pair[0] >= at_least), key=itemgetter(0), default=None)
    return None if found is None else (found[1], found[0])


def clear(connection: Connection, chosen: Chosen, by: str | None) -> int:
    """Delete entries, and say how many."""
    gone = connection.execute(delete(cache_entries).where(chosen.condition())).rowcount
    subject = ", ".join(f"{name} {value}" for name, value in asdict(chosen).items() if value is not None)
    note(connection, "clear cache", subject or "everything", by, before={"entries": gone}, after={"entries": 0})
    return gone


def count_expired(connection: Connection, now: datetime) -> Amount:
    """Count the entries whose time is over."""
    query = select(func.count()).select_from(cache_entries).where(cache_entries.c.expires_at <= now)
    return Amount(connection.scalar(query) or 0)


def delete_expired(connection: Connection, now: datetime) -> Amount:
    """Delete them."""
    return Amount(connection.execute(delete(cache_entries).where(cache_entries.c.expires_at <= now)).rowcount)

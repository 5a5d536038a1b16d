"""Releases: names that point at versions of workflows, and the queued runs that follow them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, func, insert, select, update

from engine.errors import InputError
from engine.records import RunStatus, VersionRecord
from engine.replay_records import ReleaseRecord
from engine.store import tables
from engine.store.control_events import note
from engine.store.hands import records_of
from engine.store.statements import insert_once

_releases, _entries, _runs = tables.releases, tables.queue_entries, tables.runs


def version_of(connection: Connection, version: str) -> VersionRecord:
    """Give a version by a beginning of its hash.

    Raises:
        InputError: there is none, or there are several.
    """
    table = tables.versions
    found = connection.execute(select(table).where(table.c.version.startswith(version, autoescape=True)).limit(2)).all()
    if len(found) != 1 or not version:
        what = "several versions begin" if found else "no version in this ledger begins"
        raise InputError(f"{what} with {version!r}: `flowledger versions` lists them")
    return records_of(VersionRecord, found)[0]


def last_bundle(connection: Connection, version: str) -> str | None:
    """Give what stands for what the last run of a version stood on."""
    mine = select(_runs.c.bundle_payload).where(_runs.c.version == version, _runs.c.bundle_payload.is_not(None))
    return connection.scalar(mine.order_by(_runs.c.started_at.desc()).limit(1))


def current(connection: Connection) -> Mapping[str, ReleaseRecord]:
    """Give what each name stands for, by name; one that was let go stands for nothing."""
    last = select(func.max(_releases.c.id)).group_by(_releases.c.name)
    rows = connection.execute(select(_releases).where(_releases.c.id.in_(last), _releases.c.version.is_not(None))).all()
    return {record.name: record for record in records_of(ReleaseRecord, rows)}


def history(connection: Connection, name: str | None) -> Sequence[ReleaseRecord]:
    """Give what a name, or every one, has stood for, the latest first."""
    query = select(_releases).order_by(_releases.c.id.desc())
    return records_of(
        ReleaseRecord, connection.execute(query if name is None else query.where(_releases.c.name == name)).all()
    )


def name_of(connection: Connection, run_id: str) -> str | None:
    """Give the name under which a run was queued."""
    return connection.scalar(select(_entries.c.release).where(_entries.c.run_id == run_id))


@dataclass(frozen=True, slots=True)
class Pointing:
    """What has a name stand for a version from now on.

    Attributes:
        release: what is written.
        version: what queued runs are of then: the release's, or where it lets go that of whoever says so.
    """

    release: ReleaseRecord
    version: VersionRecord

    def carry_out(self, connection: Connection) -> int:
        """Write it down, and give how many queued runs, not begun, follow."""
        release, version = self.release, self.version
        connection.execute(insert_once(tables.versions, connection.dialect.name), [asdict(version)])
        stood = current(connection).get(release.name)
        connection.execute(insert(_releases).values(**asdict(release)))
        before, after = {"version": stood and stood.version}, {"version": release.version}
        note(connection, "release", release.name, release.set_by, before=before, after=after)
        waiting = select(_entries.c.run_id).where(_entries.c.release == release.name, _entries.c.attempts == 0)
        others = waiting.where(_entries.c.version != version.version)
        run_ids = connection.scalars(others.with_for_update()).all()
        if run_ids:
            connection.execute(update(_entries).where(_entries.c.run_id.in_(run_ids)).values(version=version.version))
            mine = _runs.c.run_id.in_(run_ids) & (_runs.c.status == RunStatus.QUEUED)
            connection.execute(update(_runs).where(mine).values(version=version.version))
        return len(run_ids)

"""Datasets in SQL: a log of cases that only grows, and the versions that name how far."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, text

from engine.errors import InputError
from engine.eval_records import CaseRecord, DatasetRecord
from engine.payloads import digest
from engine.records import RunStatus
from engine.store.hands import records_of
from engine.store.origins import FOR_NOBODY
from engine.store.tables import cases, datasets, outcomes, runs

Choose = Callable[[Sequence[CaseRecord]], Sequence[CaseRecord]]
CONDITIONS = ("status", "workflow", "version", "tenant", "user", "outcome")
"""What runs can be chosen by."""


def append(connection: Connection, name: str, choose: Choose, now: datetime) -> DatasetRecord:
    """Add cases to a dataset, and give the version that it then has.

    `choose` is given the cases that there are and says which new ones are added.
    """
    if connection.dialect.name != "sqlite":  # where a writer has the whole file to itself
        connection.execute(text("LOCK TABLE datasets IN SHARE ROW EXCLUSIVE MODE"))
    there = cases_of(connection, name)
    added = [replace(case, position=len(there) + at) for at, case in enumerate(choose(there))]
    if not added and (latest := _latest(connection, name)) is not None:
        return latest
    every = [case.case_id for case in (*there, *added)]
    record = DatasetRecord(name=name, version=digest(every), cases=len(every), created_at=now)
    connection.execute(insert(datasets).values(asdict(record)))
    if added:
        connection.execute(insert(cases), [asdict(case) for case in added])
    return record


def dataset_named(connection: Connection, name: str, version: str | None = None) -> DatasetRecord:
    """Give the newest version of a dataset, or the one that begins so.

    Raises:
        InputError: there is no such dataset or version, or several versions begin so.
    """
    query = select(datasets).where(datasets.c.name == name).order_by(datasets.c.cases.desc())
    found: list[DatasetRecord] = records_of(DatasetRecord, connection.execute(query).all())
    if not found:
        raise InputError(f"there is no dataset {name!r}: `flowledger dataset list` names those that there are")
    fits = [one for one in found if one.version.startswith(version or "")]
    if len(fits) != 1 and version is not None:
        raise InputError(f"{len(fits)} versions of the dataset {name!r} begin with {version!r}: name one of them")
    return fits[0]


def cases_of(connection: Connection, name: str, most: int | None = None) -> list[CaseRecord]:
    """Give the first so many cases of a dataset, or all."""
    query = select(cases).where(cases.c.dataset == name).order_by(cases.c.position).limit(most)
    return records_of(CaseRecord, connection.execute(query).all())


def latest_datasets(connection: Connection) -> list[tuple[DatasetRecord, int]]:
    """Give the newest version of each dataset, and how many versions it has had."""
    newest = select(datasets.c.name, func.max(datasets.c.cases).label("cases"), func.count().label("versions"))
    newest_ones = newest.group_by(datasets.c.name).subquery("newest")
    query = (
        select(datasets, newest_ones.c.versions)
        .join(newest_ones, (newest_ones.c.name == datasets.c.name) & (newest_ones.c.cases == datasets.c.cases))
        .order_by(datasets.c.name)
    )
    rows = connection.execute(query).all()
    return list(zip(records_of(DatasetRecord, rows), (row.versions for row in rows), strict=True))


def runs_where(
    connection: Connection, conditions: Mapping[str, str], since: datetime | None, limit: int
) -> Sequence[str]:
    """Give the ids of the newest runs that somebody asked for, that had an input, and that fit.

    Raises:
        InputError: a condition or a status is not known.
    """
    columns = {"status": runs.c.status, "workflow": runs.c.workflow, "version": runs.c.version}
    columns |= {"tenant": runs.c.tenant, "user": runs.c.user_id}
    query = select(runs.c.run_id).where(runs.c.input_payload.is_not(None), runs.c.origin.not_in(FOR_NOBODY))
    for name, value in conditions.items():
        if name == "outcome" and value in {"success", "failure"}:
            said = select(outcomes.c.success).where(outcomes.c.run_id == runs.c.run_id)
            last = said.order_by(outcomes.c.id.desc()).limit(1).scalar_subquery()
            query = query.where(last.is_(value == "success"))
        elif name == "status" and value not in set(RunStatus):
            raise InputError(f"status={value}: a run is one of {', '.join(RunStatus)}")
        elif name in columns:
            query = query.where(columns[name] == value)
        else:
            raise InputError(
                f"{name}={value}: runs are chosen by {', '.join(CONDITIONS)}; an outcome is success or failure"
            )
    query = query if since is None else query.where(runs.c.started_at >= since)
    return connection.scalars(query.order_by(runs.c.started_at.desc(), runs.c.run_id.desc()).limit(limit)).all()


def _latest(connection: Connection, name: str) -> DatasetRecord | None:
    query = select(datasets).where(datasets.c.name == name).order_by(datasets.c.cases.desc()).limit(1)
    found = records_of(DatasetRecord, connection.execute(query).all())
    return found[0] if found else None

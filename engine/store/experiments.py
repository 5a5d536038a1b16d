"""Experiments and scores in SQL."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from engine.errors import InputError
from engine.eval_records import ExperimentRecord, ScoreRecord
from engine.store.hands import records_of
from engine.store.statements import upsert_of
from engine.store.tables import experiments, runs, scores


def begin(connection: Connection, record: ExperimentRecord) -> None:
    """Write down that an experiment begins."""
    connection.execute(insert(experiments).values(asdict(record)))


def end(connection: Connection, experiment_id: str, ended_at: datetime | None) -> None:
    """Write down that every trial was scored, or that something is left to do."""
    changed = update(experiments).where(experiments.c.experiment_id == experiment_id)
    connection.execute(changed.values(ended_at=ended_at))


def with_id(connection: Connection, experiment_id: str) -> ExperimentRecord | None:
    """Give the experiment of an id, if there is one."""
    query = select(experiments).where(experiments.c.experiment_id == experiment_id)
    return next(iter(records_of(ExperimentRecord, connection.execute(query).all())), None)


def named(connection: Connection, name: str) -> ExperimentRecord:
    """Give the experiment of an id, of a beginning or end of one, or the newest of a name.

    Raises:
        InputError: there is none, or ids of several begin or end so.
    """
    column = experiments.c.experiment_id
    query = select(experiments).order_by(experiments.c.created_at.desc(), column.desc())
    called = records_of(ExperimentRecord, connection.execute(query.where(experiments.c.name == name).limit(1)).all())
    if called:
        return called[0]
    part = column.startswith(name, autoescape=True) | column.endswith(name, autoescape=True)
    found = records_of(ExperimentRecord, connection.execute(query.where(part).limit(2)).all())
    if not name or not found:
        raise InputError(f"no experiment is called {name!r}: `flowledger eval list` lists them")
    if len(found) > 1:
        raise InputError(f"several experiments have ids that begin or end with {name!r}: give more of it")
    return found[0]


def latest(connection: Connection, limit: int) -> list[ExperimentRecord]:
    """Give experiments, the newest first."""
    query = select(experiments).order_by(experiments.c.created_at.desc(), experiments.c.experiment_id.desc())
    return records_of(ExperimentRecord, connection.execute(query.limit(limit)).all())


def write_scores(connection: Connection, rows: Sequence[ScoreRecord]) -> None:
    """Write scores; the same evaluator in the same version replaces what it said of the same run."""
    made = upsert_of(connection.dialect.name)(scores)
    keys = [column.name for column in scores.primary_key]
    rest = {column.name: made.excluded[column.name] for column in scores.columns if column.name not in keys}
    statement = made.on_conflict_do_update(index_elements=keys, set_=rest)
    for row in rows:
        connection.execute(statement, asdict(row))


def scores_of(connection: Connection, experiment_id: str) -> list[ScoreRecord]:
    """Give the scores of an experiment; of each evaluator and run the newest."""
    query = select(scores).where(scores.c.experiment_id == experiment_id)
    ordered = query.order_by(scores.c.case_id, scores.c.trial, scores.c.evaluator, scores.c.created_at)
    found: list[ScoreRecord] = records_of(ScoreRecord, connection.execute(ordered).all())
    return list({(one.run_id, one.evaluator): one for one in found}.values())


def runs_of(connection: Connection, experiment_id: str) -> Sequence[Any]:
    """Give what each run of an experiment came to: run_id, status, cost_nano_usd, duration_ns."""
    of_it = select(scores.c.run_id).where(scores.c.experiment_id == experiment_id)
    columns = (runs.c.run_id, runs.c.status, runs.c.cost_nano_usd, runs.c.duration_ns)
    return connection.execute(select(*columns).where(runs.c.run_id.in_(of_it)).order_by(runs.c.run_id)).all()

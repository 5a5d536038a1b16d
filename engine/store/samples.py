"""Sampled runs in SQL: which worker sees to a workflow, which runs were seen, and which wait to be scored."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select, update

from engine.eval_records import JUDGE
from engine.monitor_records import SampleRecord, SamplingRecord
from engine.records import RunRecord, RunStatus
from engine.store.hands import records_of
from engine.store.origins import NO_TRAFFIC
from engine.store.statements import insert_once
from engine.store.tables import runs, samples, samplings

ALONE = timedelta(seconds=60)
"""For how long a worker sees to a workflow alone, from the last time that it said so."""

PENDING, SCORED, FAILED = "pending", "scored", "failed"
_MOST_SEEN = 1_000  # runs that are looked through at once
NOT_OVER = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.NEEDS_REVIEW)
"""How a run stands that may yet end otherwise."""


def claim(
    connection: Connection, workflow: str, begins: datetime, now: datetime, due: datetime
) -> SamplingRecord | None:
    """Have a workflow's runs to oneself, if they are due by then and nobody has them.

    A workflow that is new here is looked through from `begins` on.
    """
    new = SamplingRecord(workflow=workflow, place=begins, next_at=now)
    connection.execute(insert_once(samplings, connection.dialect.name), asdict(new))
    is_free = or_(samplings.c.claimed_until.is_(None), samplings.c.claimed_until <= now)
    free = mine_is(workflow) & is_free & (samplings.c.next_at <= due)
    if not connection.execute(update(samplings).where(free).values(claimed_until=now + ALONE)).rowcount:
        return None
    return records_of(SamplingRecord, connection.execute(select(samplings).where(mine_is(workflow))).all())[0]


def mine_is(workflow: str) -> Any:
    """Say whose row it is."""
    return samplings.c.workflow == workflow


def keep(connection: Connection, workflow: str, now: datetime) -> None:
    """Go on having them to oneself."""
    connection.execute(update(samplings).where(mine_is(workflow)).values(claimed_until=now + ALONE))


def let_go(connection: Connection, workflow: str, next_at: datetime) -> None:
    """Let whoever comes next see to them, from a moment on."""
    connection.execute(update(samplings).where(mine_is(workflow)).values(claimed_until=None, next_at=next_at))


def begun(connection: Connection, workflow: str, after: tuple[datetime, str]) -> list[RunRecord]:
    """Give some runs that people asked for, in the order in which they began, from a moment and an id on."""
    at, run_id = after
    later = (runs.c.started_at > at) | ((runs.c.started_at == at) & (runs.c.run_id > run_id))
    query = select(runs).where(
        runs.c.workflow == workflow, runs.c.started_at >= at, later, runs.c.origin.not_in(NO_TRAFFIC)
    )
    found = connection.execute(query.order_by(runs.c.started_at, runs.c.run_id).limit(_MOST_SEEN))
    return records_of(RunRecord, found.all())


def seen(connection: Connection, workflow: str, drawn: Sequence[RunRecord], place: datetime) -> None:
    """Write down which runs may be scored, each once, and how far was looked."""
    rows = [SampleRecord(run_id=run.run_id, workflow=workflow, state=PENDING, began_at=run.started_at) for run in drawn]
    if rows:
        connection.execute(insert_once(samples, connection.dialect.name), [asdict(row) for row in rows])
    further = mine_is(workflow) & (samplings.c.place < place)
    connection.execute(update(samplings).where(further).values(place=place))


def ended(connection: Connection, workflow: str, but: Collection[str], most: int) -> list[RunRecord]:
    """Give some runs that may be scored and have ended, the oldest first."""
    waiting = (samples.c.workflow == workflow) & (samples.c.state == PENDING) & samples.c.run_id.not_in(list(but))
    query = select(runs).join(samples, samples.c.run_id == runs.c.run_id)
    query = query.where(waiting, runs.c.status.not_in(NOT_OVER)).order_by(samples.c.began_at, samples.c.run_id)
    return records_of(RunRecord, connection.execute(query.limit(most)).all())


def attempt(connection: Connection, run_id: str) -> int:
    """Count that somebody begins to score a run, and say how often that was so."""
    connection.execute(update(samples).where(samples.c.run_id == run_id).values(attempts=samples.c.attempts + 1))
    return connection.scalar(select(samples.c.attempts).where(samples.c.run_id == run_id)) or 0


def settle(connection: Connection, run_id: str, values: dict[str, Any]) -> None:
    """Write what came of scoring a run."""
    connection.execute(update(samples).where(samples.c.run_id == run_id).values(**values))


def drop(connection: Connection, run_ids: Collection[str]) -> None:
    """Forget runs that were not drawn, now that it is known how they ended."""
    connection.execute(delete(samples).where(samples.c.run_id.in_(list(run_ids))))


def spent_on_judges(connection: Connection, workflow: str, since: datetime) -> int:
    """Give what runs since a moment cost that judged sampled runs of a workflow, in nano-USD."""
    judged = runs.join(samples, samples.c.run_id == runs.c.parent_run_id)
    query = select(func.sum(runs.c.cost_nano_usd)).select_from(judged)
    return int(
        connection.scalar(
            query.where(samples.c.workflow == workflow, runs.c.origin == JUDGE, runs.c.started_at >= since)
        )
        or 0
    )


def counts(connection: Connection, workflow: str) -> dict[str, int]:
    """Give how many sampled runs of a workflow are in which state."""
    query = select(samples.c.state, func.count()).where(samples.c.workflow == workflow).group_by(samples.c.state)
    return {str(state): int(many) for state, many in connection.execute(query)}

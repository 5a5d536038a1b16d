"""Outcomes that are said once: whoever says one again under the same key hears what was said first."""

from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from engine.records import OutcomeRecord
from engine.store.hands import records_of
from engine.store.lease import lock_run
from engine.store.tables import outcomes


def say_once(connection: Connection, said: OutcomeRecord) -> OutcomeRecord:
    """Write an outcome down unless one of its run has the same key, and give the one that stands."""
    lock_run(connection, said.run_id)  # so that two who say it at once do so one after the other
    mine = (outcomes.c.run_id == said.run_id) & (outcomes.c.idempotency_key == said.idempotency_key)
    first = connection.execute(select(outcomes).where(mine).order_by(outcomes.c.id).limit(1)).all()
    if first:
        return records_of(OutcomeRecord, first)[0]
    connection.execute(insert(outcomes).values(asdict(said)))
    return said

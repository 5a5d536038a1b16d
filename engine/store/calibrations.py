"""Calibrations of token estimates: a version is written for each model that was learned, and the newest is used."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from sqlalchemy import Connection, func, insert, select, text

from engine.price_records import CalibrationRecord
from engine.store.hands import records_of
from engine.store.ledger import SqlLedger
from engine.store.tables import calibrations

Key = tuple[str, str, bool]
"""Provider, model, and whether requests have tools."""


async def newest(ledger: SqlLedger) -> Mapping[Key, CalibrationRecord]:
    """Give the newest calibration of each model.

    Raises:
        StoreError: the database refused.
    """
    query = select(calibrations).order_by(calibrations.c.version)
    rows = await ledger.read(lambda connection: connection.execute(query).all())
    return {(one.provider, one.model, one.with_tools): one for one in records_of(CalibrationRecord, rows)}


async def write_calibrations(ledger: SqlLedger, learned: Sequence[CalibrationRecord]) -> Sequence[CalibrationRecord]:
    """Write what was learned at once, under the next number, and give it.

    Raises:
        StoreError: the database refused; nothing is written.
    """

    def write(connection: Connection) -> Sequence[CalibrationRecord]:
        if connection.dialect.name != "sqlite":  # where a writer has the whole file to itself
            connection.execute(text("LOCK TABLE calibrations IN SHARE ROW EXCLUSIVE MODE"))
        version = (connection.scalar(select(func.max(calibrations.c.version))) or 0) + 1
        made = [replace(one, version=version) for one in learned]
        connection.execute(insert(calibrations), [asdict(one) for one in made])
        return made

    return await ledger.change(write)

"""Versions of what past calls cost: each is written whole or not at all, and recorded costs are never touched."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import Connection, func, insert, select, text

from engine.errors import InputError
from engine.price_records import CallCostRecord, CostVersionRecord
from engine.store.ledger import SqlLedger
from engine.store.tables import call_costs, cost_versions

RECORDED = 0
"""The version before all others: what was written when the calls were made."""

_AT_ONCE = 2_000  # rows in one statement


async def write_version(
    ledger: SqlLedger, record: CostVersionRecord, costs: Sequence[CallCostRecord]
) -> CostVersionRecord:
    """Write a version with the next number, in one transaction, and give it.

    Raises:
        StoreError: the database refused; nothing is written.
    """

    def write(connection: Connection) -> CostVersionRecord:
        if connection.dialect.name != "sqlite":  # where a writer has the whole file to itself
            connection.execute(text("LOCK TABLE cost_versions IN SHARE ROW EXCLUSIVE MODE"))
        made = replace(record, version=_latest(connection) + 1)
        connection.execute(insert(cost_versions).values(asdict(made)))
        for start in range(0, len(costs), _AT_ONCE):
            rows = [asdict(cost) | {"version": made.version} for cost in costs[start : start + _AT_ONCE]]
            connection.execute(insert(call_costs), rows)
        return made

    return await ledger.change(write)


async def version_named(ledger: SqlLedger, name: str) -> int:
    """Give the number of a version: `recorded`, `latest`, or a number.

    Raises:
        InputError: there is none of this name.
    """
    if name == "recorded":
        return RECORDED
    latest = await ledger.read(_latest)
    if name == "latest":
        return latest
    number = int(name) if name.isascii() and name.isdecimal() and len(name) < 10 else None
    if number is None or not RECORDED < number <= latest:
        there = f"1 to {latest}" if latest else "none yet, `flowledger prices reprice` writes one"
        raise InputError(f"--cost-version {name!r}: write recorded, latest or a number; there is {there}")
    return number


def _latest(connection: Connection) -> int:
    return connection.scalar(select(func.max(cost_versions.c.version))) or RECORDED

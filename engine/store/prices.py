"""The ledger's own prices: dated, only ever added to."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError

from engine.price_records import PriceRecord
from engine.store.database import Database
from engine.store.hands import records_of
from engine.store.ledger import SqlLedger
from engine.store.tables import prices


def read_prices(database: Database) -> Sequence[PriceRecord]:
    """Give every price, in the order in which they were written.

    Raises:
        StoreError: the database refused.
    """
    try:
        with database.engine.connect() as connection:
            return records_of(PriceRecord, connection.execute(select(prices).order_by(prices.c.id)).all())
    except SQLAlchemyError as error:
        raise database.error(error) from error


async def add_price(ledger: SqlLedger, record: PriceRecord) -> None:
    """Write a price down.

    Raises:
        StoreError: the database refused.
    """
    await ledger.change(lambda connection: connection.execute(insert(prices).values(asdict(record))))

"""Chooses who tells workers of a ledger's runs: by an address, or as fits its database."""

from collections.abc import Callable

from engine.dispatch.in_process import InProcess
from engine.dispatch.nats import Address, Nats
from engine.dispatch.postgres import Postgres
from engine.errors import ConfigurationError
from engine.ports import Dispatcher
from engine.store.database import Database

_SUPPORTED = "nats://HOST/NAME, postgresql://USER@HOST/NAME, or local for the workers of this process alone"


def dispatcher_for(wanted: Dispatcher | str | None, database: Database, chance: Callable[[], float]) -> Dispatcher:
    """Give a dispatcher.

    Args:
        wanted: its address, one that there is, or None: PostgreSQL's own, or for SQLite that of this process.
        database: the ledger's.
        chance: draws a number from 0 to 1.

    Raises:
        ConfigurationError: the address is not one, or what it needs is not installed.
    """
    if wanted is None:
        return InProcess() if database.is_sqlite else Postgres(database.driver_arguments, chance)
    if not isinstance(wanted, str):
        return wanted
    scheme = wanted.partition(":")[0]
    if wanted == "local":
        return InProcess()
    if scheme in {"postgres", "postgresql"}:
        return Postgres(Database.at(wanted).driver_arguments, chance)
    if scheme in {"nats", "tls"}:
        address = Address.parse(wanted)
        return Nats(address.servers, address.name or database.fingerprint(), chance)
    raise ConfigurationError(f"the address of the dispatcher begins with {scheme!r}: write {_SUPPORTED}")

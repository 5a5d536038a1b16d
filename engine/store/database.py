"""Opens the database of the ledger; whatever is wrong with it is one sentence, and never shows a password."""

import logging
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, QueuePool, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from engine.errors import ConfigurationError, StoreError
from engine.payloads import digest
from engine.store import schema
from engine.store.lease_time import LEASE_OPTION, LEASE_SECONDS

_SUPPORTED = "sqlite:///FILE or postgresql://USER@HOST/NAME"
_BUSY_SECONDS = 5  # for which a connection waits until another lets go of its lock
# Compiling the plan of a report takes longer than most reports do; and reports over many runs sort and group in memory.
_ROOM_TO_SORT = """
    SELECT set_config('work_mem', '32MB', false) FROM pg_settings WHERE name = 'work_mem' AND setting::int < 32768
"""
_BOUNDS = {  # of libpq: within them a host that has gone silent is noticed
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}


class Database:
    """An open database of either dialect: one engine, SQLite tuned for one writer and many readers."""

    def __init__(self, engine: Engine, safe_url: str, lease_seconds: float = LEASE_SECONDS) -> None:
        engine.update_execution_options(**{LEASE_OPTION: lease_seconds})
        self.engine = engine
        self.safe_url = safe_url
        self.lease_seconds = lease_seconds

    @property
    def is_sqlite(self) -> bool:
        """Whether the ledger is embedded."""
        return self.engine.dialect.name == "sqlite"

    @property
    def driver_arguments(self) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """What its driver connects with."""
        return self.engine.dialect.create_connect_args(self.engine.url)

    @classmethod
    def at(cls, url: str, *, lease_seconds: float = LEASE_SECONDS) -> "Database":
        """Name a database, and ask nothing of it yet.

        Raises:
            ConfigurationError: the address is malformed or names what is not supported.
        """
        parsed = _parse(url)
        safe = parsed.render_as_string(hide_password=True)
        try:
            return cls(_engine(parsed), safe, lease_seconds)
        except ModuleNotFoundError as error:
            raise ConfigurationError(f"the database {safe} needs {error.name}: install flowledger[postgres]") from error

    @classmethod
    def open(cls, url: str, *, migrate: bool | None = None, lease_seconds: float = LEASE_SECONDS) -> "Database":
        """Open a database and see to its schema.

        Args:
            url: `sqlite:///FILE` (`?synchronous=full` survives power loss), a bare path, or `postgresql://...`.
            migrate: bring the schema up to date; by default SQLite is, and PostgreSQL is only checked.
            lease_seconds: after which a worker that has not beaten is taken for dead.

        Raises:
            ConfigurationError: the address is malformed or names what is not supported.
            StoreError: the database cannot be opened, or its schema is not the one this engine needs.
        """
        database = cls.at(url, lease_seconds=lease_seconds)
        try:
            with database.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
            if migrate is not False:
                _see_to_schema(database, upgrade=database.is_sqlite if migrate is None else migrate)
        except SQLAlchemyError as error:
            database.close()
            raise database.error(error) from error
        except StoreError:
            database.close()
            raise
        return database

    @property
    def schema(self) -> str | None:
        """Which revision of the schema it has; None if it has no ledger yet.

        Raises:
            StoreError: the database refused.
        """
        try:
            return schema.current(self.engine)
        except SQLAlchemyError as error:
            raise self.error(error) from error

    def upgrade(self) -> None:
        """Bring the schema up to date.

        Raises:
            StoreError: the database refused, or its schema is of a newer engine; it is as it was.
        """
        try:
            _refuse_newer(self, schema.current(self.engine))
            schema.upgrade(self.engine)
        except SQLAlchemyError as error:
            raise self.error(error) from error

    def fingerprint(self) -> str:
        """Name what the ledger is in, the same however it is reached.

        Raises:
            StoreError: the database refused.
        """
        url = self.engine.url
        if self.is_sqlite:
            return digest(str(Path(url.database).resolve()) if url.database else secrets.token_hex(8))[:16]
        place = "SELECT current_database(), current_schema(), (SELECT system_identifier FROM pg_control_system())"
        try:
            with self.engine.connect() as connection:
                return digest([str(part) for part in connection.exec_driver_sql(place).one()])[:16]
        except SQLAlchemyError as error:
            raise self.error(error) from error

    def error(self, error: Exception) -> StoreError:
        """Say in a sentence what the database refused, and how to mend it."""
        cause = str(error.orig if isinstance(error, DBAPIError) and error.orig else error).strip()
        first = cause.splitlines()[0] if cause else type(error).__name__
        hint = next(
            (hint for mark, hint in _HINTS.items() if mark in cause.lower()), "see to the database and try again"
        )
        return StoreError(f"the database {self.safe_url} cannot be used: {first}: {hint}")

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


_HINTS = {  # what the drivers say, and what helps
    "unable to open database file": "create its folder, and see that it may be written",
    "file is not a database": "it is another kind of file; name a new one",
    "malformed": "the file is damaged; restore it from a backup",
    "readonly database": "see that the file and its folder may be written",
    "read-only transaction": "name the primary server, or let the user write",
    "is locked": "another process holds it; stop that one or use PostgreSQL",
    "lock timeout": "another session holds it locked; end that one",
    "disk is full": "make room on the disk",
    "no space left": "make room on the disk",
    "disk i/o error": "see that the disk is sound and has room",
    "refused": "start the server, or mend host and port",
    "no such file or directory": "start the server, or mend the folder of its socket",
    "resolve host": "mend the host",
    "timeout expired": "see that the host can be reached, or mend host and port",
    "password": "mend user and password",
    "too many clients": "allow more connections on the server, or run fewer processes",
    "the database system is": "the server is not up; try again in a while",
    "terminat": "see that the server is up",
    "permission denied": "grant the user what it lacks",
    "relation": "run `flowledger db upgrade`",
    "does not exist": "create it, or mend the name",
}

GONE = frozenset({"57P01", "57P02", "57P03"})
"""How PostgreSQL says that it ends a session or is not up: it was stopped, has crashed, starts."""


def lock_timeout_ms() -> int:
    """Say how long PostgreSQL waits until another session lets go of its lock."""
    return max(1, round(_BUSY_SECONDS * 1000))


def _parse(url: str) -> URL:
    text = url if "://" in url or url.startswith("sqlite:") else f"sqlite:///{url}"
    try:
        parsed = make_url(text)
    except ArgumentError as error:
        raise ConfigurationError(f"the database address cannot be read: write {_SUPPORTED}") from error
    backend = parsed.get_backend_name()
    if backend in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        return parsed.set(drivername="sqlite")
    raise ConfigurationError(
        f"the database address begins with {backend!r}, which is not supported: write {_SUPPORTED}"
    )


def _engine(url: URL) -> Engine:
    try:
        return _sqlite(url) if url.drivername == "sqlite" else _postgresql(url)
    except NoSuchModuleError as error:
        raise ConfigurationError(f"the database address names an unknown driver: write {_SUPPORTED}") from error
    except ArgumentError as error:
        raise ConfigurationError(f"the database address cannot be read: write {_SUPPORTED}") from error


def _postgresql(url: URL) -> Engine:
    from psycopg.types.numeric import Int8Dumper  # PostgreSQL's driver is an extra

    logging.getLogger("psycopg").addHandler(logging.NullHandler())  # what it has to say of a lost connection is raised
    engine = create_engine(url.set(query={**_BOUNDS, **url.query}), pool_pre_ping=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        try:
            connection.autocommit = True  # one message, not three
            connection.execute(f"SET lock_timeout = {lock_timeout_ms()}")
            lease_ms = round(
                engine.get_execution_options()[LEASE_OPTION] * 1000
            )  # whoever froze within one ends with it
            connection.execute(f"SET idle_in_transaction_session_timeout = {lease_ms}")
            connection.execute(f"SET jit = off; {_ROOM_TO_SORT}")
        except BaseException:  # nobody else knows of it yet
            connection.close()
            raise
        connection.autocommit = False
        connection.adapters.register_dumper(int, Int8Dumper)  # of one type at any size: one statement for the server

    @event.listens_for(engine, "handle_error")
    def see_what_is_gone(context: ExceptionContext) -> None:  # pyright: ignore[reportUnusedFunction]
        if getattr(context.original_exception, "sqlstate", None) in GONE:
            context.is_disconnect = True  # also where the socket stands for a moment after the server's last word

    return engine


def _sqlite(url: URL) -> Engine:
    options = dict(url.query)
    synchronous = str(options.pop("synchronous", "normal")).lower()
    if synchronous not in {"normal", "full"} or options:
        raise ConfigurationError("a SQLite address takes one option: ?synchronous=normal or ?synchronous=full")
    if url.database and url.database != ":memory:" and Path(url.database).is_dir():
        raise ConfigurationError(f"the database {url.database} is a folder: name a file in it")
    if url.database in (None, "", ":memory:"):
        name = f"file:/flowledger-{secrets.token_hex(8)}?vfs=memdb"  # one memory for all connections of this engine

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(name, uri=True, check_same_thread=False, timeout=_BUSY_SECONDS)

        engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    else:
        engine = create_engine(url.set(query={}), connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None  # SQLAlchemy's own BEGIN, so that a writer takes its lock at once
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _see_to_schema(database: Database, *, upgrade: bool) -> None:
    found = schema.current(database.engine)
    if found == schema.HEAD:
        return
    _refuse_newer(database, found)
    if not upgrade:
        has = f"has the schema {found}" if found else "has no tables yet"
        raise StoreError(
            f"the database {database.safe_url} {has}, and this flowledger needs the schema {schema.HEAD}: "
            "run `flowledger db upgrade`"
        )
    schema.upgrade(database.engine)


def _refuse_newer(database: Database, found: str | None) -> None:
    if found is not None and found not in schema.revisions():
        raise StoreError(
            f"the database {database.safe_url} has the schema {found}, which this flowledger does not know: "
            "it was written by a newer one, install that"
        )

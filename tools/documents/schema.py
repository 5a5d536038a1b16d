"""The tables of the index and how its SQLite file is opened, changed and closed."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from engine import ConfigurationError, EngineError, StoreError

TOKENIZER = "porter unicode61 remove_diacritics 2"
FORMAT = 1
"""Number of the tables' layout; a file of another layout is refused."""

BUSY_SECONDS = 30.0
"""How long a refresh waits for another one of the same file."""

_TABLES = """
CREATE TABLE collection (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    folder TEXT NOT NULL,
    recipe TEXT NOT NULL,
    manifest TEXT NOT NULL,
    stamp TEXT NOT NULL
);
CREATE TABLE document (
    id INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collection (id),
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    UNIQUE (collection, path)
);
CREATE TABLE piece (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES document (id),
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    bigrams TEXT NOT NULL,
    meta TEXT NOT NULL
);
CREATE INDEX piece_document ON piece (document);
CREATE TABLE vector (
    piece INTEGER NOT NULL REFERENCES piece (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (piece, model)
) WITHOUT ROWID;
"""

_WORDS = f"""
CREATE VIRTUAL TABLE WORDS USING fts5(
    title, body, bigrams, content='piece', content_rowid='id', tokenize='{TOKENIZER}'
)
"""


def on_words(statement: str, collection: int) -> str:
    """Put the name of a collection's full-text table for WORDS; it is made of a number, so it cannot be SQL.

    Each collection has a table of its own, so that no collection changes another's scores.
    """
    return statement.replace("WORDS", f"words_{collection}")


def create_words(connection: sqlite3.Connection, collection: int) -> None:
    """Create the full-text table of a collection; its texts stay in `piece`."""
    connection.execute(on_words(_WORDS, collection))


@contextmanager
def opened(path: Path) -> Generator[sqlite3.Connection]:
    """Open the file for one piece of work and close it; a connection never leaves the thread it was opened in.

    Raises:
        ConfigurationError: this SQLite has no FTS5, or the file has another layout.
        StoreError: the file cannot be opened, read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise as_engine_error(error, path) from error
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            # Readers see the old state until the commit, however large the change is.
            connection.execute("PRAGMA cache_spill = OFF")
            _prepare(connection, path)
            yield connection
    except sqlite3.Error as error:
        raise as_engine_error(error, path) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Do everything inside or nothing of it; a crash in between leaves the old state."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def as_engine_error(error: Exception, path: Path) -> EngineError:
    """Say what a failure of SQLite or the file system means for the index."""
    said = str(error)
    if "no such module: fts5" in said:
        return ConfigurationError(
            "The SQLite of this Python was built without FTS5, which the document index needs: use a Python from "
            "python.org, uv or your distribution."
        )
    return StoreError(
        f"The document index {str(path)!r} cannot be used ({said}): set FLOWLEDGER_INDEX to another file."
    )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if _layout(connection) == FORMAT:
        return
    with transaction(connection):
        layout = _layout(connection)
        if layout == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        elif layout != FORMAT:
            raise ConfigurationError(
                f"The file {str(path)!r} is not a document index of this version: delete it and index again."
            )


def _layout(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])

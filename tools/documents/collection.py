"""A collection as the file holds it: its row, and the version of what is searched."""

import hashlib
import json
import sqlite3
from dataclasses import dataclass

from engine import ToolFailed
from tools.documents.chunk import FEWEST, MOST
from tools.documents.schema import FORMAT, TOKENIZER
from tools.documents.tokens import MAX_TERMS, STOP_WORDS

WEIGHTS = (2.0, 1.0, 1.0)
"""What a hit in title, body and bigrams counts for in bm25."""

_NAMES = "SELECT name FROM collection ORDER BY name"

READER = 1
"""Number of the way files are read; a new number has everything read again."""


def short_hash(*parts: object) -> str:
    """Hash JSON values to 16 hex digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


RECIPE = short_hash(FORMAT, READER, TOKENIZER, WEIGHTS, MOST, FEWEST, MAX_TERMS, sorted(STOP_WORDS))
"""Names how documents are read, cut, indexed and searched."""


@dataclass(frozen=True)
class StoredCollection:
    """A collection as the file holds it.

    Attributes:
        id: its key in the file.
        folder: where its documents come from.
        recipe: how they were indexed.
        manifest: hash over its documents' paths and contents.
        stamp: changes with every refresh; keys of pieces mean something only under one stamp.
    """

    id: int
    folder: str
    recipe: str
    manifest: str
    stamp: str

    @property
    def version(self) -> str:
        """Name the configuration and the content that are searched."""
        return short_hash(RECIPE, self.recipe, self.manifest)


def stored_collection(connection: sqlite3.Connection, name: str) -> StoredCollection | None:
    """Read a collection's row; None where there is none."""
    which = "SELECT id, folder, recipe, manifest, stamp FROM collection WHERE name = ?"
    row = connection.execute(which, (name,)).fetchone()
    return StoredCollection(*row) if row else None


def collection_of(connection: sqlite3.Connection, name: str) -> StoredCollection:
    """Read a collection's row.

    Raises:
        ToolFailed: it was never indexed; the sentence says what was, and how to index it.
    """
    stored = stored_collection(connection, name)
    if stored is None:
        raise ToolFailed(unknown(name, [str(row[0]) for row in connection.execute(_NAMES)]))
    return stored


def unknown(name: str, names: list[str]) -> str:
    """Say that a collection was never indexed, which ones were, and how to index it."""
    known = f"known are {', '.join(map(repr, names))}" if names else "nothing is indexed yet"
    return f"There is no collection {name!r} ({known}): index a folder with `flowledger index FOLDER --name {name}`."

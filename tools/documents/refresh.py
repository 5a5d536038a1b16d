"""A refresh: what changed in a collection goes into the tables, what did not is left alone."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator

from engine import InputError
from tools.documents.collection import RECIPE, StoredCollection, collection_of, short_hash, stored_collection
from tools.documents.document import Document, Piece, Refreshed, Source, Unreadable
from tools.documents.schema import create_words, on_words
from tools.documents.tokens import spaced

# The texts stay in `piece`, so the full-text table is told what it has to forget.
_FORGET_WORDS = """
INSERT INTO WORDS (WORDS, rowid, title, body, bigrams)
SELECT 'delete', piece.id, title, body, bigrams FROM piece JOIN document ON document.id = piece.document
WHERE collection = ? AND path = ?
"""
_DELETE_PIECES = "DELETE FROM piece WHERE document = (SELECT id FROM document WHERE collection = ? AND path = ?)"


def refresh(connection: sqlite3.Connection, name: str, folder: str, sources: Iterable[Source]) -> Refreshed:
    """Make a collection consist of these sources, reading only what has changed; runs inside a transaction.

    Raises:
        InputError: none of the sources can be read.
    """
    report = Refreshed(name)
    collection = stored_collection(connection, name) or _new_collection(connection, name)
    writer = _Writer(connection, collection.id)
    # Another recipe means that equal content would be indexed differently: nothing counts as known.
    trusted = collection.recipe == RECIPE
    gone = dict(writer.known)
    for source in sources:
        known = writer.known.get(source.path)
        try:
            document = source.fetch(known if trusted else None)
        except Unreadable as reason:
            report.skipped.append((source.path, str(reason)))
            continue
        gone.pop(source.path, None)
        if document is None:
            report.unchanged += 1
            continue
        if known is not None:
            writer.remove(source.path)
        writer.add(document)
        report.changed += known is not None
        report.added += known is None
    for path in gone:
        writer.remove(path)
    report.removed = len(gone)
    if not (report.added or report.changed or report.unchanged):
        raise InputError(_nothing_to_read(name, folder, report.skipped))
    connection.execute(
        "UPDATE collection SET folder = ?, recipe = ?, manifest = ?, stamp = hex(randomblob(8)) WHERE id = ?",
        (folder, RECIPE, writer.manifest(), collection.id),
    )
    report.version = collection_of(connection, name).version
    report.passages = writer.count()
    return report


class _Writer:
    """Puts documents into the tables of one collection and takes them out."""

    def __init__(self, connection: sqlite3.Connection, collection: int) -> None:
        self._connection = connection
        self._collection = collection
        self.known: dict[str, str] = dict(
            connection.execute("SELECT path, sha256 FROM document WHERE collection = ?", (collection,))
        )

    def add(self, document: Document) -> None:
        """Write a document, its pieces and their words."""
        key = self._connection.execute(
            "INSERT INTO document (collection, path, sha256) VALUES (?, ?, ?)",
            (self._collection, document.path, document.sha256),
        ).lastrowid
        for name, piece in _named(document):
            title = title_of(document.title, piece.headings)
            words = (title, piece.text, spaced(f"{title}\n{piece.text}"))
            meta = {f"start_{document.unit}": piece.start, f"end_{document.unit}": piece.end}
            row = self._connection.execute(
                "INSERT INTO piece (document, name, title, body, bigrams, meta) VALUES (?, ?, ?, ?, ?, ?)",
                (key, name, *words, json.dumps({"headings": piece.headings, **meta}, ensure_ascii=False)),
            ).lastrowid
            self._connection.execute(
                self._on_words("INSERT INTO WORDS (rowid, title, body, bigrams) VALUES (?, ?, ?, ?)"), (row, *words)
            )

    def remove(self, path: str) -> None:
        """Take a document, its pieces, their words and their vectors out."""
        given = (self._collection, path)
        self._connection.execute(self._on_words(_FORGET_WORDS), given)
        self._connection.execute(_DELETE_PIECES, given)
        self._connection.execute("DELETE FROM document WHERE collection = ? AND path = ?", given)

    def manifest(self) -> str:
        """Hash what the collection consists of."""
        rows = self._connection.execute(
            "SELECT path, sha256 FROM document WHERE collection = ? ORDER BY path", (self._collection,)
        )
        return short_hash(*rows)

    def count(self) -> int:
        """Count the pieces."""
        rows = self._connection.execute(
            "SELECT count(*) FROM piece JOIN document ON document.id = piece.document WHERE collection = ?",
            (self._collection,),
        )
        return int(rows.fetchone()[0])

    def _on_words(self, statement: str) -> str:
        return on_words(statement, self._collection)


def title_of(title: str, headings: tuple[str, ...]) -> str:
    """Join a document's title and the headings above a piece; a heading that is the title is not said twice."""
    return " > ".join(dict.fromkeys(part for part in (title, *headings) if part))


def _new_collection(connection: sqlite3.Connection, name: str) -> StoredCollection:
    connection.execute(
        "INSERT INTO collection (name, folder, recipe, manifest, stamp) VALUES (?, '', '', '', '')", (name,)
    )
    collection = collection_of(connection, name)
    create_words(connection, collection.id)
    return collection


def _named(document: Document) -> Iterator[tuple[str, Piece]]:
    """Name pieces by their document and content, so that one keeps its name while others around it change."""
    seen: Counter[str] = Counter()
    for piece in document.pieces:
        digest = hashlib.sha256(piece.text.encode(errors="replace")).hexdigest()[:8]
        seen[digest] += 1
        again = f"-{seen[digest]}" if seen[digest] > 1 else ""
        yield f"{document.path}#{digest}{again}", piece


def _nothing_to_read(name: str, folder: str, skipped: list[tuple[str, str]]) -> str:
    where = f"The folder {folder!r}" if folder else f"The collection {name!r}"
    why = "; ".join(f"{path}: {reason}" for path, reason in skipped[:3])
    return f"{where} holds no document that can be read" + (f" ({why})." if why else ".")

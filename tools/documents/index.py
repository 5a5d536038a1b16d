"""DocumentIndex: collections of documents in one SQLite file, found by their words."""

import json
import sqlite3
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from engine import Passage, Retrieved, ToolFailed
from tools.documents.collection import WEIGHTS, StoredCollection, collection_of, stored_collection, unknown
from tools.documents.document import Document, Refreshed, Source
from tools.documents.read import sources_in
from tools.documents.refresh import refresh
from tools.documents.schema import on_words, opened, transaction
from tools.documents.tokens import match_query

MAX_TOP_K = 1000
"""Passages of one answer at the most."""

_BEST = "SELECT rowid, -bm25(WORDS, ?, ?, ?) AS score FROM WORDS WHERE WORDS MATCH ? ORDER BY score DESC LIMIT ?"

OnProgress = Callable[[int, int, str], None]
"""Is told how many documents are done, how many there are, and which one was done last."""


class DocumentIndex:
    """An index of documents in one SQLite file; safe to share between threads, needs no closing.

    Args:
        path: the file; it is made on first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def refresh(
        self, folder: Path, collection: str, *, on_progress: OnProgress | None = None, named: str | None = None
    ) -> Refreshed:
        """Make a collection consist of the documents in a folder, reading only files whose content has changed.

        All of it happens in one transaction: searches see the old state until it ends, and so does a crash.

        Args:
            folder: where the documents are.
            collection: the collection's name.
            on_progress: is told (done, total, document) after each document.
            named: what is kept as the collection's folder, where that is not the folder's path.

        Returns:
            Counts of documents and passages, and what was left out and why.

        Raises:
            InputError: there is no such folder, or no document in it can be read.
            ConfigurationError: this SQLite has no FTS5.
            StoreError: the file cannot be written.
        """
        return self._update(collection, named or str(folder), sources_in(folder, on_progress))

    def replace(self, collection: str, documents: Iterable[Document]) -> Refreshed:
        """Make a collection consist of these documents and no others, in one transaction.

        Raises:
            InputError: there are no documents.
            ConfigurationError: this SQLite has no FTS5.
            StoreError: the file cannot be written.
        """
        return self._update(collection, "", (_given(document) for document in documents))

    def search(self, query: str, *, top_k: int = 6, collection: str = "docs") -> Retrieved:
        """Find the pieces that share the most telling words with the query.

        Args:
            query: what a person typed; it has no syntax.
            top_k: how many pieces at the most, 1 to 1000.
            collection: the collection that is searched.

        Returns:
            Pieces, best first; equal scores are ordered by id.

        Raises:
            ToolFailed: the collection was never indexed, or `top_k` is out of range.
            StoreError: the file cannot be read.
        """
        if not 1 <= top_k <= MAX_TOP_K:
            raise ToolFailed(f"top_k is from 1 to {MAX_TOP_K}, and {top_k} was asked for.")
        with self.reading(collection) as (connection, stored):
            return Retrieved(
                passages=_found(connection, stored, match_query(query), top_k), retriever_version=stored.version
            )

    def folder_of(self, collection: str) -> str | None:
        """Say which folder a collection was indexed from; None where it never was."""
        if not self.path.is_file():
            return None
        with opened(self.path) as connection:
            stored = stored_collection(connection, collection)
        return stored.folder if stored else None

    def version_of(self, collection: str) -> str:
        """Name the content and the configuration that a search would go over; empty where there is none yet."""
        if not self.path.is_file():
            return ""
        with opened(self.path) as connection:
            stored = stored_collection(connection, collection)
        return stored.version if stored else ""

    @contextmanager
    def reading(self, collection: str) -> Generator[tuple[sqlite3.Connection, StoredCollection]]:
        """Open the file on one state of a collection, whatever refreshes come meanwhile.

        Raises:
            ToolFailed: it never was.
            StoreError: the file cannot be read.
        """
        if not self.path.is_file():
            raise ToolFailed(unknown(collection, []))
        with opened(self.path) as connection:
            connection.execute("BEGIN")
            yield connection, collection_of(connection, collection)

    def _update(self, collection: str, folder: str, sources: Iterable[Source]) -> Refreshed:
        with opened(self.path) as connection, transaction(connection):
            return refresh(connection, collection, folder, sources)


def passages_of(connection: sqlite3.Connection, scores: dict[int, float]) -> list[Passage]:
    """Read the pieces that are still there by their keys, in the order given, each with its score."""
    rows = connection.execute(
        "SELECT piece.id, name, title, body, path, meta FROM piece JOIN document ON document.id = piece.document "
        "WHERE piece.id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(scores)),),
    )
    found = {key: (name, title, body, path, meta) for key, name, title, body, path, meta in rows}
    return [
        Passage(id=name, text=body, title=title, source=path, score=scores[key], meta=json.loads(meta))
        for key, (name, title, body, path, meta) in ((key, found[key]) for key in scores if key in found)
    ]


def _found(connection: sqlite3.Connection, stored: StoredCollection, terms: str, top_k: int) -> list[Passage]:
    if not terms:
        return []
    best = on_words(_BEST, stored.id)
    limit = top_k + 1
    rows = connection.execute(best, (*WEIGHTS, terms, limit)).fetchall()
    # Equal scores at the cut are all needed to order them by id; joining the ids in SQL would double the time.
    while len(rows) == limit and rows[-1][1] == rows[top_k - 1][1]:
        limit *= 4
        rows = connection.execute(best, (*WEIGHTS, terms, limit)).fetchall()
    passages = passages_of(connection, dict(rows))
    return sorted(passages, key=lambda passage: (-passage.score, passage.id))[:top_k]


def _given(document: Document) -> Source:
    return Source(document.path, lambda known: None if known == document.sha256 else document)

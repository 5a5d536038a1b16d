"""DenseRetriever: passages by meaning, with any embedding model and exact search over stored vectors."""

import asyncio
import math
import sqlite3
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from operator import mul
from pathlib import Path
from weakref import WeakKeyDictionary

from langchain_core.embeddings import Embeddings

from engine import Retrieved, ToolFailed
from tools.documents.collection import StoredCollection, short_hash
from tools.documents.index import MAX_TOP_K, DocumentIndex, passages_of
from tools.documents.schema import opened, transaction
from tools.documents.search import ready_index

_BATCH = 64
"""Pieces that are embedded and stored at a time; a crash loses no more."""


_WITHOUT_VECTOR = """
SELECT piece.id, title || char(10) || body FROM piece JOIN document ON document.id = piece.document
LEFT JOIN vector ON vector.piece = piece.id AND vector.model = ?
WHERE collection = ? AND vector.piece IS NULL ORDER BY piece.id
"""
_VECTORS = """
FROM vector JOIN piece ON piece.id = vector.piece
JOIN document ON document.id = piece.document WHERE model = ? AND collection = ?
"""


@dataclass(frozen=True)
class _Vectors:
    stamp: str
    of: dict[int, Sequence[float]]


class DenseRetriever:
    """A retriever that compares the meaning of a query with that of every piece of a collection.

    Pieces without a vector are embedded on first use and their vectors (float32, length 1) kept in the index file.
    Search is exact: about 100 ms for 10,000 pieces of 384 numbers, so it suits collections below 50,000 pieces.

    Args:
        embeddings: the embedding model.
        model: names the model; vectors of another name are not used.
        index: the index to search; None is the one that FLOWLEDGER_INDEX names.
    """

    def __init__(self, embeddings: Embeddings, *, model: str, index: DocumentIndex | None = None) -> None:
        self._embeddings = embeddings
        self._model = model
        self._index = index
        self._known: dict[tuple[Path, str], _Vectors] = {}
        self._filling: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def __call__(self, query: str, *, top_k: int = 6, collection: str = "docs") -> Retrieved:
        """Find the pieces whose meaning is nearest to the query's.

        Args:
            query: what a person typed.
            top_k: how many pieces at the most, 1 to 1000.
            collection: the collection that is searched.

        Returns:
            Pieces, best first, scored by cosine (-1 to 1); equal scores are ordered by id.

        Raises:
            ToolFailed: the collection was never indexed, `top_k` is out of range, or a vector has another length.
            StoreError: the index file cannot be used.
        """
        if not 1 <= top_k <= MAX_TOP_K:
            raise ToolFailed(f"top_k is from 1 to {MAX_TOP_K}, and {top_k} was asked for.")
        index = self._index or await asyncio.to_thread(ready_index, collection)
        asked = _unit(await self._embeddings.aembed_query(query))
        # A lock belongs to the event loop it first waited in; a process may have one loop after another.
        async with self._filling.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            await self._fill(index, collection)
        return await asyncio.to_thread(self._nearest, index, asked, top_k, collection)

    async def _fill(self, index: DocumentIndex, collection: str) -> None:
        missing = await asyncio.to_thread(self._missing, index, collection)
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            vectors = await self._embeddings.aembed_documents([text for _, text in batch])
            pairs = zip((key for key, _ in batch), vectors, strict=True)
            rows = [(key, self._model, _unit(vector).tobytes()) for key, vector in pairs]
            await asyncio.to_thread(_store, index, rows)

    def _missing(self, index: DocumentIndex, collection: str) -> list[tuple[int, str]]:
        with index.reading(collection) as (connection, stored):
            return connection.execute(_WITHOUT_VECTOR, (self._model, stored.id)).fetchall()

    def _nearest(self, index: DocumentIndex, asked: Sequence[float], top_k: int, collection: str) -> Retrieved:
        with index.reading(collection) as (connection, stored):
            vectors = self._vectors(connection, stored, (index.path, collection))
            scores = {key: _dot(vector, asked) for key, vector in vectors.items()}
            best = nlargest(top_k, scores.values())
            # Equal scores at the cut are all needed to order them by id.
            near = {key: score for key, score in scores.items() if score >= best[-1]} if best else {}
            passages = passages_of(connection, near)
        ordered = sorted(passages, key=lambda passage: (-passage.score, passage.id))
        version = short_hash("dense", self._model, stored.version)
        return Retrieved(passages=ordered[:top_k], retriever_version=version)

    def _vectors(
        self, connection: sqlite3.Connection, stored: StoredCollection, where: tuple[Path, str]
    ) -> dict[int, Sequence[float]]:
        which = (self._model, stored.id)
        # Vectors may also be added under one stamp, by another process that fills in what is missing.
        stamp = f"{stored.stamp} {connection.execute(f'SELECT count(*) {_VECTORS}', which).fetchone()[0]}"
        known = self._known.get(where)
        if known is None or known.stamp != stamp:
            rows = connection.execute(f"SELECT vector.piece, data {_VECTORS}", which)
            known = _Vectors(stamp, {key: array("f", data) for key, data in rows})
            self._known[where] = known
        return known.of


def _store(index: DocumentIndex, rows: list[tuple[int, str, bytes]]) -> None:
    """Keep vectors of pieces that are still there: a refresh may have come in between."""
    with opened(index.path) as connection, transaction(connection):
        connection.executemany(
            "INSERT OR REPLACE INTO vector (piece, model, data) SELECT piece.id, ?2, ?3 FROM piece WHERE piece.id = ?1",
            rows,
        )


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    if len(one) != len(other):
        raise ToolFailed(
            f"The query's vector has {len(other)} numbers and a stored one {len(one)}: give another embedding model "
            "another name."
        )
    return sum(map(mul, one, other))


def _unit(vector: Sequence[float]) -> "array[float]":
    length = math.hypot(*vector) or 1.0
    return array("f", [number / length for number in vector])

"""FromLangChain: any LangChain retriever or vector store as a retriever with stable passage ids."""

import hashlib
import json
from typing import Any

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore, VectorStoreRetriever

from engine import Passage, Retrieved


class FromLangChain:
    """A retriever made of a LangChain one.

    Passages are scored 1 / rank, because stores disagree on whether a large score is good; what a vector store said
    stands in `meta["store_score"]`.

    Args:
        inner: the retriever or vector store.
        version: names what it searches; it is written to every retrieval. None says it is not known.
    """

    def __init__(self, inner: BaseRetriever | VectorStore, *, version: str | None = None) -> None:
        self._inner = inner
        self._version = version

    async def __call__(self, query: str, *, top_k: int = 6) -> Retrieved:
        """Ask it and give what it found, best first.

        Args:
            query: what a person typed.
            top_k: how many passages at the most; a retriever with a limit of its own may give fewer.
        """
        found = await self._ask(query, top_k)
        passages = {
            passage.id: passage
            for rank, (document, score) in reversed(list(enumerate(found[:top_k], start=1)))
            for passage in [passage_from(document, rank, score)]
        }
        best_first = sorted(passages.values(), key=lambda passage: -passage.score)
        return Retrieved(passages=best_first, retriever_version=self._version)

    async def _ask(self, query: str, top_k: int) -> list[tuple[Document, float | None]]:
        if isinstance(self._inner, VectorStoreRetriever):
            return [(document, None) for document in await self._inner.ainvoke(query, k=top_k)]
        if isinstance(self._inner, BaseRetriever):
            return [(document, None) for document in await self._inner.ainvoke(query)]
        try:
            return [*await self._inner.asimilarity_search_with_score(query, k=top_k)]
        except NotImplementedError:
            return [(document, None) for document in await self._inner.asimilarity_search(query, k=top_k)]


def passage_from(document: Document, rank: int, store_score: float | None = None) -> Passage:
    """Make a passage of a document; its id is the document's own, else a hash of its source and text.

    Args:
        document: what a LangChain retriever found.
        rank: its place in the answer, from 1.
        store_score: what the store said of it, if it did.
    """
    metadata: dict[str, Any] = json.loads(json.dumps(document.metadata, default=str))
    source = str(metadata.get("source", ""))
    text = document.page_content
    digest = hashlib.sha256(f"{source}\n{text}".encode(errors="replace")).hexdigest()[:16]
    extra = {} if store_score is None else {"store_score": float(store_score)}
    return Passage(
        id=str(document.id or metadata.get("id") or digest),
        text=text,
        title=str(metadata.get("title", "")),
        source=source,
        score=1 / rank,
        meta={**metadata, **extra},
    )

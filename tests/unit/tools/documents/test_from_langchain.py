"""LangChain's retrievers and vector stores, as retrievers."""

from datetime import UTC, datetime
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore

from tools.documents import FromLangChain


class Fixed(BaseRetriever):
    """Answers the same documents to every query."""

    documents: list[Document]

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return self.documents


class Scoreless(InMemoryVectorStore):
    """A vector store that cannot say its scores."""

    async def asimilarity_search_with_score(self, *args: Any, **kwargs: Any) -> list[tuple[Document, float]]:
        raise NotImplementedError

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return self.similarity_search(query, k, **kwargs)


def store(kind: type[InMemoryVectorStore] = InMemoryVectorStore) -> InMemoryVectorStore:
    filled = kind(DeterministicFakeEmbedding(size=8))
    filled.add_texts([f"text {number}" for number in range(9)], ids=[f"id-{number}" for number in range(9)])
    return filled


async def test_documents_become_passages_in_their_order() -> None:
    made = datetime(2025, 1, 2, tzinfo=UTC)
    metadata = {"source": "a.md", "title": "A", "made": made}
    retriever = FromLangChain(Fixed(documents=[Document("one", metadata=metadata), Document("two")]), version="v1")
    found = await retriever("why")
    assert [(passage.text, passage.score) for passage in found.passages] == [("one", 1.0), ("two", 0.5)]
    assert (found.passages[0].source, found.passages[0].title, found.retriever_version) == ("a.md", "A", "v1")
    assert found.passages[0].meta["made"] == str(made)


async def test_a_document_keeps_its_id_wherever_it_stands() -> None:
    one, two = Document("one", metadata={"source": "a"}), Document("two", id="mine")
    first = await FromLangChain(Fixed(documents=[one, two]))("why")
    second = await FromLangChain(Fixed(documents=[two, one]))("why")
    assert {passage.text: passage.id for passage in first.passages} == {
        passage.text: passage.id for passage in second.passages
    }
    assert second.passages[0].id == "mine"


async def test_the_same_document_twice_is_one_passage() -> None:
    found = await FromLangChain(Fixed(documents=[Document("one"), Document("one"), Document("two")]))("why")
    assert [(passage.text, passage.score) for passage in found.passages] == [("one", 1.0), ("two", 1 / 3)]


async def test_no_more_than_was_asked_for_is_given() -> None:
    documents = [Document(str(number)) for number in range(5)]
    assert len((await FromLangChain(Fixed(documents=documents))("why", top_k=2)).passages) == 2


async def test_a_vector_store_says_its_own_score_beside() -> None:
    found = await FromLangChain(store())("text 3", top_k=6)
    assert len(found.passages) == 6
    assert (found.passages[0].id, found.passages[0].score) == ("id-3", 1.0)
    assert found.passages[0].meta["store_score"] > found.passages[1].meta["store_score"]


async def test_a_vector_store_without_scores_is_asked_without() -> None:
    found = await FromLangChain(store(Scoreless))("text 3", top_k=2)
    assert (found.passages[0].id, found.passages[0].meta) == ("id-3", {})


async def test_a_retriever_over_a_vector_store_gives_as_many_as_asked_for() -> None:
    assert len((await FromLangChain(store().as_retriever())("text 3", top_k=7)).passages) == 7

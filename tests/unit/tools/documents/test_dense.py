"""Search by meaning: vectors are made once, kept, and searched exactly."""

import asyncio
from pathlib import Path

import pytest
from langchain_core.embeddings import Embeddings

from engine import Retrieved, ToolFailed
from tools.documents import DenseRetriever, Document, DocumentIndex, Fusion, Piece

SUBJECTS = ("refund", "money", "ship", "parcel")


class Counting(Embeddings):
    """Embeds a text as how often it names each subject."""

    def __init__(self, subjects: tuple[str, ...] = SUBJECTS) -> None:
        self.subjects = subjects
        self.embedded: list[str] = []

    def embed_query(self, text: str) -> list[float]:
        return [float(text.lower().count(subject)) for subject in self.subjects]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.embedded += texts
        return [self.embed_query(text) for text in texts]


@pytest.fixture
def index(tmp_path: Path) -> DocumentIndex:
    index = DocumentIndex(tmp_path / "documents.db")
    index.replace("docs", [document("a", "refund and money"), document("b", "ship a parcel"), document("c", "ship")])
    return index


def document(path: str, text: str) -> Document:
    return Document(path, text, "", [Piece(text)])


async def test_the_nearest_comes_first(index: DocumentIndex) -> None:
    found = await DenseRetriever(Counting(), model="count", index=index)("money", top_k=2)
    assert found.passages[0].source == "a"
    assert found.passages[0].score == pytest.approx(0.7071, abs=1e-4)
    assert len(found.passages) == 2


async def test_equal_scores_are_ordered_by_id(index: DocumentIndex) -> None:
    index.replace("docs", [document(name, "ship") for name in "dcba"])
    found = await DenseRetriever(Counting(), model="count", index=index)("ship", top_k=3)
    assert [passage.source for passage in found.passages] == ["a", "b", "c"]


async def test_a_piece_is_embedded_once_by_all_who_ask(index: DocumentIndex) -> None:
    embeddings = Counting()
    retriever = DenseRetriever(embeddings, model="count", index=index)
    await asyncio.gather(*(retriever("ship") for _ in range(5)))
    await DenseRetriever(embeddings, model="count", index=index)("ship")
    assert len(embeddings.embedded) == 3


async def test_a_refresh_embeds_only_what_is_new(index: DocumentIndex) -> None:
    embeddings = Counting()
    retriever = DenseRetriever(embeddings, model="count", index=index)
    before = await retriever("parcel")
    index.replace("docs", [document("a", "refund and money"), document("b", "parcel"), document("c", "ship")])
    after = await retriever("parcel")
    assert [text.strip() for text in embeddings.embedded[3:]] == ["parcel"]
    assert after.passages[0].text == "parcel"
    assert before.retriever_version != after.retriever_version


async def test_another_model_has_vectors_of_its_own(index: DocumentIndex) -> None:
    first = await DenseRetriever(Counting(), model="count", index=index)("ship")
    second = await DenseRetriever(Counting(SUBJECTS[2:]), model="short", index=index)("ship")
    assert second.passages[0].source == first.passages[0].source == "c"
    assert first.retriever_version != second.retriever_version


async def test_another_model_under_the_same_name_is_refused(index: DocumentIndex) -> None:
    await DenseRetriever(Counting(), model="count", index=index)("ship")
    with pytest.raises(ToolFailed, match="another name"):
        await DenseRetriever(Counting(SUBJECTS[2:]), model="count", index=index)("ship")


async def test_the_numbers_of_passages_and_collections_are_checked(index: DocumentIndex) -> None:
    retriever = DenseRetriever(Counting(), model="count", index=index)
    with pytest.raises(ToolFailed, match="top_k"):
        await retriever("ship", top_k=0)
    with pytest.raises(ToolFailed, match="flowledger index"):
        await retriever("ship", collection="other")


async def test_words_and_meaning_fuse(index: DocumentIndex) -> None:
    async def by_words(query: str, *, top_k: int = 6, collection: str = "docs") -> Retrieved:
        return index.search(query, top_k=top_k, collection=collection)

    by_meaning = DenseRetriever(Counting(), model="count", index=index)
    found = await Fusion({"words": by_words, "meaning": by_meaning})("ship it", top_k=1, collection="docs")
    assert found.passages[0].source == "c"
    assert found.passages[0].meta["ranks"] == {"words": 1, "meaning": 1}


def test_one_retriever_serves_one_event_loop_after_another(index: DocumentIndex) -> None:
    retriever = DenseRetriever(Counting(), model="count", index=index)

    async def ask() -> int:
        return len(await asyncio.gather(*(retriever("ship") for _ in range(3))))

    assert [asyncio.run(ask()) for _ in range(2)] == [3, 3]

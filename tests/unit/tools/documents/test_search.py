"""The retriever and the command's side of the index: where it lies and what may be searched."""

import asyncio
from pathlib import Path

import pytest

from engine import InputError, ToolFailed
from engine.ports import Indexer, IndexReport
from tools.documents import DocumentIndex, index_folder, search_documents
from tools.documents.search import own_docs, refresh_own_docs


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DocumentIndex:
    monkeypatch.setenv("FLOWLEDGER_INDEX", str(tmp_path / "documents.db"))
    return DocumentIndex(tmp_path / "documents.db")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "refunds.md").write_text("# Refunds\n\nRefunds take ten days.\n")
    return folder


async def test_what_an_operator_indexed_can_be_searched(folder: Path) -> None:
    report = index_folder(folder, "handbook")
    found = await search_documents("How long do refunds take?", top_k=3, collection="handbook")
    assert [passage.source for passage in found.passages] == ["refunds.md"]
    assert found.retriever_version == report.version


async def test_what_nobody_indexed_cannot_be_searched() -> None:
    with pytest.raises(ToolFailed, match="flowledger index FOLDER --name handbook"):
        await search_documents("refunds", collection="handbook")


def test_it_is_an_indexer_of_the_engine(folder: Path) -> None:
    indexer: Indexer = index_folder
    report: IndexReport = indexer(folder, "handbook")
    assert (report.collection, report.added, report.passages) == ("handbook", 1, 1)


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "-x"])
def test_a_collection_needs_a_name_that_can_be_typed(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be called"):
        index_folder(folder, name)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no folder"):
        index_folder(tmp_path / "nowhere", "handbook")


async def test_the_index_lies_under_the_current_folder_unless_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLOWLEDGER_INDEX")
    monkeypatch.chdir(tmp_path)
    index_folder(folder, "handbook")
    assert (tmp_path / ".flowledger" / "documents.db").is_file()


@pytest.mark.skipif(not own_docs().is_dir(), reason="this copy of the project has no documentation")
async def test_the_projects_own_docs_are_indexed_on_first_use(index: DocumentIndex) -> None:
    found = await search_documents("workflow", top_k=2)
    assert len(found.passages) == 2
    index.path.unlink()
    assert await search_documents("workflow", top_k=2) == found


async def test_many_first_searches_at_once_index_once(folder: Path) -> None:
    index_folder(folder, "docs")
    answers = await asyncio.gather(*(search_documents("refunds") for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)


async def test_a_folder_that_an_operator_indexed_as_docs_stays(folder: Path) -> None:
    version = index_folder(folder, "docs").version
    assert (await search_documents("refunds")).retriever_version == version


def test_the_projects_own_docs_follow_their_folder(index: DocumentIndex, folder: Path) -> None:
    refresh_own_docs(index, folder)
    (folder / "more.md").write_text("Shipping takes three days.")
    refresh_own_docs(index, folder)
    assert [passage.source for passage in index.search("shipping").passages] == ["more.md"]


def test_an_index_that_was_shipped_alone_is_searched_as_it_is(index: DocumentIndex, folder: Path) -> None:
    refresh_own_docs(index, folder)
    refresh_own_docs(index, folder / "nowhere")
    assert index.search("refunds").passages


def test_docs_that_are_nowhere_are_a_clear_fault(index: DocumentIndex, folder: Path) -> None:
    with pytest.raises(InputError, match="There is no folder"):
        refresh_own_docs(index, folder / "nowhere")

"""The index: what is found, in which order, and what a refresh does."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import ConfigurationError, InputError, StoreError, ToolFailed
from tools.documents import Document, DocumentIndex, Piece
from tools.documents.schema import as_engine_error

NOTES = {
    "refunds.md": "# Refunds\n\nRefunds take ten working days.\n\n## Cards\n\nA card is credited at once.\n",
    "shipping.md": "# Shipping\n\nParcels travel three days. Running late happens.\n",
    "中文.md": "# 退款\n\n退款需要十个工作日。\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    notes = tmp_path / "notes"
    notes.mkdir()
    for name, text in NOTES.items():
        (notes / name).write_text(text, encoding="utf-8")
    return notes


@pytest.fixture
def index(tmp_path: Path) -> DocumentIndex:
    return DocumentIndex(tmp_path / "sub" / "documents.db")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> DocumentIndex:
    index = DocumentIndex(tmp_path_factory.mktemp("index") / "documents.db")
    index.replace("docs", [document("a", "alpha beta"), document("b", "日本語 and more")])
    return index


def document(path: str, *texts: str, title: str = "") -> Document:
    return Document(path, "|".join(texts), title, [Piece(text) for text in texts])


def ids(index: DocumentIndex, query: str, collection: str = "docs", top_k: int = 6) -> list[str]:
    return [passage.id for passage in index.search(query, top_k=top_k, collection=collection).passages]


def sources(index: DocumentIndex, query: str, collection: str = "docs") -> list[str]:
    return [passage.source for passage in index.search(query, collection=collection).passages]


def test_a_question_finds_the_piece_that_answers_it(index: DocumentIndex, folder: Path) -> None:
    index.refresh(folder, "docs")
    best = index.search("How is a card credited?").passages[0]
    assert (best.source, best.title) == ("refunds.md", "Refunds > Cards")
    assert best.text == "## Cards\n\nA card is credited at once."
    assert best.meta == {"headings": ["Refunds", "Cards"], "start_line": 5, "end_line": 7}
    assert best.id.startswith("refunds.md#")
    assert best.score > 0


def test_word_forms_accents_and_case_do_not_matter(index: DocumentIndex) -> None:
    index.replace("docs", [document("a", "The CAFÉS were running")])
    assert sources(index, "cafe run") == ["a"]


def test_chinese_is_found_by_parts_of_its_sentences(index: DocumentIndex, folder: Path) -> None:
    index.refresh(folder, "docs")
    assert sources(index, "工作日退款")[0] == "中文.md"
    assert sources(index, "十")[0] == "中文.md"


def test_a_word_in_the_title_counts_more(index: DocumentIndex) -> None:
    index.replace("docs", [document("a", "refund of it", title="other"), document("b", "other of it", title="refund")])
    assert sources(index, "refund") == ["b", "a"]


def test_equal_scores_are_ordered_by_id_also_at_the_cut(index: DocumentIndex) -> None:
    names = [f"n{number:02d}" for number in range(40)]
    index.replace("docs", [document(name, "the same words") for name in reversed(names)])
    found = index.search("words", top_k=3).passages
    assert [passage.source for passage in found] == names[:3]


@settings(deadline=None)
@given(st.text(), st.integers(1, 20))
def test_no_query_breaks_the_search(filled: DocumentIndex, query: str, top_k: int) -> None:
    assert len(filled.search(query, top_k=top_k).passages) <= 2


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(['"', "*", "alpha", "AND", "NOT", "NEAR(", ")", "title:", "日本", "\ud800", "\0", "^"]))
)
def test_no_syntax_changes_what_is_found(filled: DocumentIndex, parts: list[str]) -> None:
    found = sources(filled, " ".join(parts))
    assert ("a" in found) == ("alpha" in parts)
    assert "日本" not in parts or "b" in found


def test_a_query_without_words_finds_nothing(filled: DocumentIndex) -> None:
    found = filled.search("?!")
    assert (found.passages, len(found.retriever_version or "")) == ([], 16)


@pytest.mark.parametrize("top_k", [0, -1, 1001])
def test_an_impossible_number_of_passages_is_refused(filled: DocumentIndex, top_k: int) -> None:
    with pytest.raises(ToolFailed, match="top_k is from 1 to 1000"):
        filled.search("alpha", top_k=top_k)


def test_an_unknown_collection_names_the_known_ones_and_the_command(filled: DocumentIndex) -> None:
    with pytest.raises(ToolFailed, match=r"known are 'docs'.*`flowledger index FOLDER --name handbook`"):
        filled.search("alpha", collection="handbook")


def test_searching_before_anything_is_indexed_makes_no_file(index: DocumentIndex) -> None:
    with pytest.raises(ToolFailed, match="nothing is indexed yet"):
        index.search("alpha")
    assert not index.path.exists()


def test_a_refresh_reads_only_what_changed(index: DocumentIndex, folder: Path) -> None:
    first = index.refresh(folder, "docs")
    (folder / "shipping.md").write_text("# Shipping\n\nFour days.\n")
    (folder / "refunds.md").unlink()
    (folder / "new.txt").write_text("Something new")
    (folder / "photo.png").write_bytes(b"\x89PNG")
    second = index.refresh(folder, "docs")
    assert (first.added, first.passages, first.skipped) == (3, 4, [])
    assert (second.added, second.changed, second.removed, second.unchanged) == (1, 1, 1, 1)
    assert second.skipped == [("photo.png", ".png is not a kind of document that is read")]
    assert sources(index, "three days") == ["shipping.md"]
    assert sources(index, "card") == []


def test_progress_is_told_after_each_document(index: DocumentIndex, folder: Path) -> None:
    told: list[tuple[int, int, str]] = []
    index.refresh(folder, "docs", on_progress=lambda *news: told.append(news))
    assert told == [(1, 3, "refunds.md"), (2, 3, "shipping.md"), (3, 3, "中文.md")]


def test_the_version_follows_the_content_and_nothing_else(index: DocumentIndex, folder: Path) -> None:
    first = index.refresh(folder, "docs").version
    assert index.search("card").retriever_version == first
    index.replace("other", [document("a", "card")])
    assert index.refresh(folder, "docs").version == first
    (folder / "shipping.md").write_text("Four days.")
    changed = index.refresh(folder, "docs").version
    (folder / "shipping.md").write_text(NOTES["shipping.md"])
    assert first == index.refresh(folder, "docs").version != changed


def test_one_collection_does_not_change_the_scores_of_another(index: DocumentIndex) -> None:
    index.replace("docs", [document("a", "card and more"), document("b", "nothing")])
    alone = index.search("card")
    index.replace("other", [document(str(number), "card " * number) for number in range(1, 30)])
    assert index.search("card") == alone


def test_a_refreshed_index_answers_as_a_new_one(index: DocumentIndex, tmp_path: Path) -> None:
    documents = [document(str(number), f"card number {number}", "more " * number) for number in range(1, 20)]
    index.replace("docs", [*documents[5:], document("old", "card card card"), document("3", "card other")])
    index.replace("docs", reversed(documents))
    fresh = DocumentIndex(tmp_path / "fresh.db")
    fresh.replace("docs", documents)
    assert index.search("card more 7", top_k=30) == fresh.search("card more 7", top_k=30)


def test_a_piece_keeps_its_id_while_others_change_around_it(index: DocumentIndex) -> None:
    index.replace("docs", [document("a", "first", "second", "second")])
    before = ids(index, "second")
    index.replace("docs", [document("a", "zeroth", "first", "second", "second")])
    assert ids(index, "second") == before
    assert before[1] == f"{before[0]}-2"


def test_a_crash_leaves_the_old_state(index: DocumentIndex, folder: Path) -> None:
    index.refresh(folder, "docs")
    before = index.search("days")
    (folder / "refunds.md").write_text("Nothing of the kind.")

    def crash(done: int, total: int, name: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.refresh(folder, "docs", on_progress=crash)
    assert index.search("days") == before


def test_searches_see_the_old_state_while_a_refresh_is_under_way(index: DocumentIndex, folder: Path) -> None:
    index.refresh(folder, "docs")
    before = index.search("card")
    seen: list[bool] = []
    (folder / "refunds.md").write_text("Nothing of the kind.")
    index.refresh(folder, "docs", on_progress=lambda *_: seen.append(index.search("card") == before))
    assert seen == [True, True, True]
    assert index.search("card").passages == []


def test_a_folder_without_documents_is_refused_and_changes_nothing(index: DocumentIndex, folder: Path) -> None:
    index.refresh(folder, "docs")
    for path in folder.iterdir():
        path.rename(path.with_suffix(".png"))
    with pytest.raises(InputError, match=r"holds no document that can be read \(refunds.png: .png is not"):
        index.refresh(folder, "docs")
    assert sources(index, "card") == ["refunds.md"]


def test_another_way_of_indexing_indexes_everything_again(index: DocumentIndex, folder: Path) -> None:
    version = index.refresh(folder, "docs").version
    with sqlite3.connect(index.path) as connection:
        connection.execute("UPDATE collection SET recipe = 'older'")
    connection.close()
    assert index.search("card").retriever_version != version
    again = index.refresh(folder, "docs")
    assert (again.changed, again.unchanged, again.version) == (3, 0, version)


def test_a_file_of_another_kind_is_refused(index: DocumentIndex) -> None:
    index.path.parent.mkdir()
    index.path.write_text("this is no database, whatever it is called" * 100)
    with pytest.raises(StoreError, match="FLOWLEDGER_INDEX"):
        index.search("card")


def test_a_database_of_another_layout_is_refused(index: DocumentIndex) -> None:
    index.path.parent.mkdir()
    with sqlite3.connect(index.path) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(ConfigurationError, match="not a document index"):
        index.search("card")


def test_a_folder_that_cannot_be_made_is_a_fault_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="FLOWLEDGER_INDEX"):
        DocumentIndex(tmp_path / "file" / "documents.db").replace("docs", [document("a", "x")])


def test_sqlite_without_full_text_search_is_one_clear_sentence() -> None:
    error = as_engine_error(sqlite3.OperationalError("no such module: fts5"), Path("x.db"))
    assert isinstance(error, ConfigurationError)
    assert "FTS5" in str(error)

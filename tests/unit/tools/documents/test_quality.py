"""Quality on public question sets: the index finds what it should."""

from pathlib import Path

import pytest

from benchmarks.retrieval import DEFAULT_DATA, measure_multihop, measure_scifact, measure_xquad
from tools.documents import DocumentIndex

pytestmark = pytest.mark.skipif(
    not (DEFAULT_DATA / "corpora").is_dir(), reason="the public evaluation sets are not beside this repository"
)


@pytest.fixture
def index(tmp_path: Path) -> DocumentIndex:
    return DocumentIndex(tmp_path / "documents.db")


def test_scientific_claims_find_the_abstracts_that_decide_them(index: DocumentIndex) -> None:
    measured = measure_scifact(DEFAULT_DATA, index, every=4)
    assert measured.queries > 200
    assert measured.figures["nDCG@10"] >= 0.68
    assert measured.figures["R@100"] >= 0.90


@pytest.mark.parametrize(("language", "least"), [("en", 0.93), ("de", 0.85), ("zh", 0.90)])
def test_questions_find_their_paragraph_first(index: DocumentIndex, language: str, least: float) -> None:
    assert measure_xquad(DEFAULT_DATA, index, language).figures["R@1"] >= least


def test_questions_of_two_steps_find_one_of_them(index: DocumentIndex) -> None:
    assert measure_multihop(DEFAULT_DATA, index).figures["any-gold@5"] >= 0.95

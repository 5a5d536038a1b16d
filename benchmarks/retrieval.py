"""Measure how well and how fast the document index finds what it should, on public question sets."""

import argparse
import gzip
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.documents import Document, DocumentIndex, Piece

Row = Mapping[str, Any]
DEFAULT_DATA = ROOT.parent / "shared" / "data" / "evaluation"


@dataclass
class Measured:
    """Figures of one question set; times are in seconds for indexing and milliseconds for queries."""

    name: str
    documents: int
    queries: int
    index_s: float
    query_ms_p50: float
    query_ms_p95: float
    figures: dict[str, float] = field(default_factory=dict[str, float])


def main() -> None:
    args = _arguments()
    if not (args.data / "corpora").is_dir():
        print(f"There is no evaluation data in {args.data}: name its folder with --data.", file=sys.stderr)
        raise SystemExit(2)
    with tempfile.TemporaryDirectory() as folder:
        measured = [*_measure_all(args.data, DocumentIndex(Path(folder, "documents.db")))]
    if args.json:
        print(json.dumps([asdict(row) for row in measured], indent=2))
        return
    print(f"{'set':<12}{'documents':>10}{'queries':>9}{'index s':>9}{'p50 ms':>8}{'p95 ms':>8}  figures")
    for row in measured:
        figures = "  ".join(f"{name} {value:.3f}" for name, value in row.figures.items())
        times = f"{row.index_s:>9.2f}{row.query_ms_p50:>8.1f}{row.query_ms_p95:>8.1f}"
        print(f"{row.name:<12}{row.documents:>10}{row.queries:>9}{times}  {figures}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with corpora/ and dev/")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def _measure_all(data: Path, index: DocumentIndex) -> Iterator[Measured]:
    yield measure_scifact(data, index)
    for language in ("en", "de", "zh"):
        yield measure_xquad(data, index, language)
    yield measure_multihop(data, index)


def measure_scifact(data: Path, index: DocumentIndex, *, every: int = 1) -> Measured:
    """SciFact: claims and the abstracts that decide them; `every` takes each n-th claim."""
    corpus = rows_of(data / "corpora" / "scifact_corpus.jsonl.gz")
    queries = rows_of(data / "dev" / "retrieval_scifact.jsonl.gz")[::every]
    measured, answers = _measure("scifact", index, corpus, [row["query"] for row in queries], top_k=100)
    relevant = [row["relevant"] for row in queries]
    pairs = list(zip(answers, relevant, strict=True))
    measured.figures = {
        "nDCG@10": statistics.fmean(ndcg(found, grades) for found, grades in pairs),
        "R@10": statistics.fmean(recall(found[:10], grades) for found, grades in pairs),
        "R@100": statistics.fmean(recall(found, grades) for found, grades in pairs),
    }
    return measured


def measure_xquad(data: Path, index: DocumentIndex, language: str) -> Measured:
    """XQuAD: questions and the paragraph that answers them."""
    corpus = rows_of(data / "corpora" / f"xquad_{language}_corpus.jsonl.gz")
    queries = rows_of(data / "dev" / f"rag_qa_xquad_{language}.jsonl.gz")
    measured, answers = _measure(f"xquad-{language}", index, corpus, [row["question"] for row in queries], top_k=10)
    pairs = list(zip(answers, (row["gold_doc"] for row in queries), strict=True))
    measured.figures = {
        "R@1": statistics.fmean(found[:1] == [gold] for found, gold in pairs),
        "R@10": statistics.fmean(gold in found for found, gold in pairs),
    }
    return measured


def measure_multihop(data: Path, index: DocumentIndex) -> Measured:
    """2WikiMultihop: questions that need several passages."""
    corpus = rows_of(data / "corpora" / "2wiki_corpus.jsonl.gz")
    queries = rows_of(data / "dev" / "multihop_2wiki.jsonl.gz")
    titles = {row["id"]: row["title"] for row in corpus}
    measured, answers = _measure("2wiki", index, corpus, [row["question"] for row in queries], top_k=5)
    found = [{titles[name] for name in answer} for answer in answers]
    pairs = list(zip(found, (set(row["gold_titles"]) for row in queries), strict=True))
    measured.figures = {
        "any-gold@5": statistics.fmean(bool(titles & gold) for titles, gold in pairs),
        "all-gold@5": statistics.fmean(gold <= titles for titles, gold in pairs),
    }
    return measured


def ndcg(found: Sequence[str], grades: Mapping[str, int], *, at: int = 10) -> float:
    """Normalised discounted cumulative gain of the first that were found, with linear gains."""
    gained = sum(grades.get(name, 0) / math.log2(rank + 2) for rank, name in enumerate(found[:at]))
    best = sorted(grades.values(), reverse=True)[:at]
    ideal = sum(grade / math.log2(rank + 2) for rank, grade in enumerate(best))
    return gained / ideal if ideal else 0.0


def recall(found: Sequence[str], grades: Mapping[str, int]) -> float:
    """Share of the relevant documents that were found."""
    relevant = {name for name, grade in grades.items() if grade > 0}
    return len(relevant & set(found)) / len(relevant)


def rows_of(path: Path) -> list[Row]:
    """Read gzipped JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def documents_of(corpus: Iterable[Row]) -> Iterator[Document]:
    """Make a document of one piece of each row: these corpora are cut already."""
    for row in corpus:
        yield Document(row["id"], row["id"], row.get("title", ""), [Piece(row["text"])])


def _measure(
    name: str, index: DocumentIndex, corpus: Sequence[Row], queries: Sequence[str], *, top_k: int
) -> tuple[Measured, list[list[str]]]:
    print(f"{name}: indexing {len(corpus)} documents", file=sys.stderr)
    began = time.perf_counter()
    index.replace(name, documents_of(corpus))
    index_s = time.perf_counter() - began
    print(f"{name}: asking {len(queries)} queries", file=sys.stderr)
    answers: list[list[str]] = []
    times: list[float] = []
    for query in queries:
        began = time.perf_counter()
        found = index.search(query, top_k=top_k, collection=name)
        times.append((time.perf_counter() - began) * 1000)
        answers.append([passage.source for passage in found.passages])
    p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    return Measured(name, len(corpus), len(queries), index_s, p50, p95), answers


if __name__ == "__main__":
    main()

"""Measure how often the embedded answerer quotes the answer, on public questions over paragraphs of Wikipedia.

For each k: is the right paragraph among the k that are found (the ceiling), does a right answer stand in the reply, how
long are replies, and how often does it say that it does not know; also when the right paragraph is taken away.
"""

import argparse
import json
import statistics
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from langchain_core.messages import HumanMessage

from benchmarks.retrieval import DEFAULT_DATA, documents_of, rows_of
from engine import Passage, Prompt
from engine.models.extractive import Extractive
from engine.models.extractive.quoting import DO_NOT_KNOW
from tools.documents import DocumentIndex

PROMPT = Prompt(text="{passages}\n\nQuestion: {question}")
SIZES = (1, 3, 6, 10)


@dataclass(frozen=True)
class Answered:
    """Figures of one language and one number of passages; shares are from 0 to 1.

    Attributes:
        language: of the questions and the paragraphs.
        k: how many passages the answerer is given.
        questions: how many were asked.
        ceiling: the right paragraph is among the passages.
        answered: a right answer occurs in the reply.
        not_known: the reply says that it does not know.
        words: mean words of a reply, without those that say so.
        not_known_when_absent: the same share when the right paragraph is taken away.
    """

    language: str
    k: int
    questions: int
    ceiling: float
    answered: float
    not_known: float
    words: float
    not_known_when_absent: float


def main() -> None:
    args = _arguments()
    if not (args.data / "corpora").is_dir():
        print(f"There is no evaluation data in {args.data}: name its folder with --data.", file=sys.stderr)
        raise SystemExit(2)
    with tempfile.TemporaryDirectory() as folder:
        index = DocumentIndex(Path(folder, "documents.db"))
        measured = [row for language in args.languages for row in measure(args.data, index, language)]
    if args.json:
        print(json.dumps([asdict(row) for row in measured], indent=2))
        return
    print(f"{'':<4}{'k':>3}{'questions':>11}{'ceiling':>9}{'answered':>10}{'not known':>11}{'words':>7}{'absent':>8}")
    for row in measured:
        shares = f"{row.ceiling:>9.3f}{row.answered:>10.3f}{row.not_known:>11.3f}"
        print(
            f"{row.language:<4}{row.k:>3}{row.questions:>11}{shares}{row.words:>7.1f}{row.not_known_when_absent:>8.3f}"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with corpora/ and dev/")
    parser.add_argument("--languages", nargs="+", default=["en", "de", "zh"], choices=["en", "de", "zh"])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def measure(data: Path, index: DocumentIndex, language: str) -> Iterator[Answered]:
    """Ask every question of a language with each number of passages."""
    index.replace(language, documents_of(rows_of(data / "corpora" / f"xquad_{language}_corpus.jsonl.gz")))
    questions = rows_of(data / "dev" / f"rag_qa_xquad_{language}.jsonl.gz")
    most = max(SIZES) + 1
    found = [index.search(row["question"], top_k=most, collection=language).passages for row in questions]
    for k in SIZES:
        given = [passages[:k] for passages in found]
        replies = [reply(row, passages) for row, passages in zip(questions, given, strict=True)]
        without = [_without(row, passages, k) for row, passages in zip(questions, found, strict=True)]
        known = [text for text in replies if text != DO_NOT_KNOW]
        yield Answered(
            language=language,
            k=k,
            questions=len(questions),
            ceiling=statistics.fmean(_has(row, passages) for row, passages in zip(questions, given, strict=True)),
            answered=statistics.fmean(contains(text, row) for text, row in zip(replies, questions, strict=True)),
            not_known=1 - len(known) / len(replies),
            words=statistics.fmean(len(text.split()) for text in known) if known else 0.0,
            not_known_when_absent=statistics.fmean(
                reply(row, passages) == DO_NOT_KNOW for row, passages in zip(questions, without, strict=True)
            ),
        )


def reply(row: Mapping[str, Any], passages: Sequence[Passage]) -> str:
    """Ask the embedded answerer one question."""
    values = {"passages": [passage.model_dump() for passage in passages], "question": row["question"]}
    return str(Extractive().invoke([HumanMessage(str(one.text)) for one in PROMPT.messages(values)]).text)


def contains(text: str, row: Mapping[str, Any]) -> bool:
    """Tell whether a right answer occurs in a reply, whatever its case and spaces."""
    return any(_folded(answer) in _folded(text) for answer in row["answers"])


def _has(row: Mapping[str, Any], passages: Sequence[Passage]) -> bool:
    return any(passage.source == row["gold_doc"] for passage in passages)


def _without(row: Mapping[str, Any], passages: Sequence[Passage], k: int) -> list[Passage]:
    return [passage for passage in passages if passage.source != row["gold_doc"]][:k]


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


if __name__ == "__main__":
    main()

"""Run the whole workflow answer-docs, ledger and guardrails included, over public questions on paragraphs of Wikipedia.

Prints how often a right answer stands in the reply, the ceiling that retrieval sets, what the citations check says,
and CPU per run. The embedded answerer plays every role unless FLOWLEDGER_MODEL_LARGE names another model.

    uv run python benchmarks/answer_docs.py --language en
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.answering import contains
from benchmarks.retrieval import DEFAULT_DATA, documents_of, rows_of
from tools.documents import DocumentIndex


def indexed(data: Path, language: str, folder: Path) -> tuple[DocumentIndex, list[dict[str, Any]]]:
    """Index the paragraphs of a language in a folder, which the workflow then uses, and give the questions."""
    os.environ["FLOWLEDGER_INDEX"] = str(folder / "documents.db")
    os.environ["FLOWLEDGER_TICKETS"] = str(folder / "tickets.db")
    index = DocumentIndex(folder / "documents.db")
    index.replace("xquad", documents_of(rows_of(data / "corpora" / f"xquad_{language}_corpus.jsonl.gz")))
    return index, list(rows_of(data / "dev" / f"rag_qa_xquad_{language}.jsonl.gz"))


async def measure(data: Path, language: str, folder: Path) -> dict[str, Any]:
    """Ask every question of a language through the workflow, one run after another."""
    index, questions = indexed(data, language, folder)
    from engine import App
    from workflows.app import app as shipped

    found: list[bool] = []
    right: list[bool] = []
    verdicts: Counter[str] = Counter()
    app = App(workflows=shipped.workflows.values(), models=shipped.models, database=f"sqlite:///{folder}/runs.db")
    async with app:
        began = time.process_time()
        for row in track(questions, f"asking ({language})", console=Console(stderr=True), transient=True):
            result = await app.run("answer-docs", {"question": row["question"], "collection": "xquad"})
            right.append(contains(str(result.output.get("answer", "")), row))
            verdicts[str(result.output.get("verdict") or result.status)] += 1
            passages = index.search(row["question"], top_k=6, collection="xquad").passages
            found.append(any(row["gold_doc"] in passage.source + passage.id for passage in passages))
        cpu = time.process_time() - began
    return {
        "language": language,
        "questions": len(questions),
        "retrieval_ceiling": round(statistics.fmean(found), 3),
        "answer_in_reply": round(statistics.fmean(right), 3),
        "verdicts": dict(verdicts),
        "cpu_ms_per_run": round(cpu * 1000 / len(questions), 1),
    }


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with corpora/ and dev/")
    parser.add_argument("--language", default="en", choices=["en", "de", "zh"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (options.data / "corpora").is_dir():
        print(f"There is no evaluation data in {options.data}: name its folder with --data.", file=sys.stderr)
        raise SystemExit(2)
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(options.data, options.language, Path(folder)))
    print(json.dumps(figures) if options.json else "\n".join(f"{name:20}{value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()

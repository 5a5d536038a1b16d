"""Public question sets as suites: the machinery of `flowledger eval run`, with its evaluators, ledger and intervals.

    uv run python benchmarks/evaluation.py scifact
    uv run python benchmarks/evaluation.py gsm8k --model openai:gpt-5-mini --limit 50

Without --model the embedded answerer plays the model. It quotes sentences, picks one of several options and can neither
reason nor call a tool: its figures are the floor that a real model has to rise above.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pydantic import BaseModel, Field

from benchmarks.retrieval import DEFAULT_DATA, Row, documents_of, rows_of
from engine import END, START, App, Budget, Case, Chain, Evaluation, Generate, Model, Prompt, State, Trial, Workflow
from engine.evals.evaluators import Arguments, Equals, Ndcg, Near, Recall, WordF1
from engine.evals.experiments import Plan
from engine.evals.modes import Mode
from engine.evals.summary import MetricRow
from engine.evals.trial import ToolUse
from tools.documents import DocumentIndex
from workflows.answer_docs import answer_docs

BUDGET = Budget(usd="0.05", tokens=50_000)
_LIST = re.compile(r"\[.*\]", re.DOTALL)


class Ask(State):
    """A question with what belongs to it."""

    question: str
    context: str = ""
    answer: str = ""


class Decided(BaseModel):
    """What a study found."""

    decision: Literal["yes", "no", "maybe"] = Field(description="Whether the abstract says yes, no or maybe.")


class Study(State):
    """A question about an abstract."""

    question: str
    context: str
    decision: Literal["yes", "no", "maybe"] | None = None


class NdcgOfDocuments(Ndcg):
    """Looks at the documents that passages are of."""

    def found(self, trial: Trial) -> list[str]:
        """Give their names."""
        return [passage.source for passage in trial.passages[: self.k]]


class RecallOfDocuments(Recall):
    """Looks at the documents that passages are of."""

    def found(self, trial: Trial) -> list[str]:
        """Give their names."""
        return [passage.source for passage in trial.passages[: self.k]]


def answered(trial: Trial) -> bool:
    """Whether one of the right answers stands in the answer."""
    said = str(trial.output.get("answer", "")).casefold()
    return any(answer.casefold() in said for answer in cast("list[str]", trial.expected("answer")))


def calls_fit(trial: Trial) -> float | None:
    """Hold the calls that the answer writes down against those of BFCL, with the values that it allows."""
    calls = _calls_in(str(trial.output.get("answer", "")))
    if trial.expected("calls") == "some":
        return float(bool(calls))
    return Arguments().score(replace(trial, tools=calls)).score


def _calls_in(text: str) -> list[ToolUse]:
    found = _LIST.search(text)
    try:
        calls = cast("list[dict[str, Any]]", json.loads(found[0])) if found else []
        return [ToolUse(str(one["name"]), dict(one["arguments"]), None, "ok", None) for one in calls]
    except (ValueError, KeyError, TypeError):
        return []


@dataclass(frozen=True)
class Suite:
    """What a question set is tried with.

    Attributes:
        cases: makes its cases.
        corpus: what is indexed for it, under its name.
    """

    workflow: Workflow
    evaluators: Sequence[Any]
    cases: Callable[[Path], list[Case]]
    corpus: str | None = None
    mode: Mode = Mode.WHOLE
    settings: Sequence[str] = ()


def asks(name: str, prompt: str, max_tokens: int) -> Workflow:
    node = Generate(model="large", prompt=Prompt(text=prompt), into="answer", max_tokens=max_tokens)
    return Workflow(name=name, state=Ask, nodes={"answer": node}, edges=[Chain(START, "answer", END)], budget=BUDGET)


DECIDE = Generate(
    model="large",
    prompt=Prompt(text="{context}\n\nQuestion: {question}\nDoes the abstract say yes, no or maybe?"),
    output=Decided,
    into={"decision": "decision"},
    max_tokens=60,
)
STUDY = Workflow(
    name="study", state=Study, nodes={"decide": DECIDE}, edges=[Chain(START, "decide", END)], budget=BUDGET
)
SUM = asks("sum", "{question}\n\nThink step by step. End with the answer as a number.", 600)
CALL = asks(
    "call",
    "Functions, as JSON:\n{context}\n\n{question}\n\nAnswer with a JSON list of the calls to make, each with "
    "`name` and `arguments`; with [] if no function fits.",
    600,
)


def scifact(data: Path) -> list[Case]:
    rows = rows_of(data / "dev" / "retrieval_scifact.jsonl.gz")
    given = [({"question": row["query"], "collection": "scifact"}, {"passages": row["relevant"]}) for row in rows]
    return [Case(input=one, expect=expect) for one, expect in given]


def xquad(data: Path) -> list[Case]:
    def case(row: Row) -> Case:
        expect: dict[str, Any] = {"answer": row["answers"], "passages": [row["gold_doc"]]}
        given = {"question": row["question"], "collection": "xquad"}
        return Case(input=given, expect=expect, cluster=row["gold_doc"])

    return [case(row) for row in rows_of(data / "dev" / "rag_qa_xquad_en.jsonl.gz")]


def pubmedqa(data: Path) -> list[Case]:
    rows = rows_of(data / "dev" / "qa_pubmedqa.jsonl.gz")
    return [
        Case(
            input={"question": row["question"], "context": "\n".join(row["contexts"])},
            expect={"decision": row["decision"]},
        )
        for row in rows
    ]


def gsm8k(data: Path) -> list[Case]:
    rows = rows_of(data / "dev" / "math_gsm8k.jsonl.gz")
    return [Case(input={"question": row["question"]}, expect={"answer": row["answer"]}) for row in rows]


def bfcl(data: Path) -> list[Case]:
    def case(row: Row) -> Case:
        expected = cast("list[dict[str, Any]]", row["expected"] or [])
        calls = [{"name": name, "arguments": given} for one in expected for name, given in one.items()]
        expect: dict[str, Any] = {"calls": "some"} if row["category"] == "live_relevance" else {"tools": calls}
        said = "\n".join(f"{message['role']}: {message['content']}" for message in row["messages"])
        given = {"question": said, "context": json.dumps(row["functions"], ensure_ascii=False)}
        return Case(input=given, expect=expect, tags=(row["category"],))

    return [case(row) for row in rows_of(data / "dev" / "tools_bfcl.jsonl.gz")]


OF_DOCUMENTS = [NdcgOfDocuments(k=10), RecallOfDocuments(k=10)]
SUITES = {
    "scifact": Suite(answer_docs, OF_DOCUMENTS, scifact, "scifact_corpus", Mode.RETRIEVAL_ONLY, ["node.find.top_k=10"]),
    "xquad": Suite(answer_docs, [RecallOfDocuments(k=1), answered, WordF1(of="answer")], xquad, "xquad_en_corpus"),
    "pubmedqa": Suite(STUDY, [Equals(of="decision")], pubmedqa),
    "bfcl": Suite(CALL, [calls_fit], bfcl),
    "gsm8k": Suite(SUM, [Near(of="answer")], gsm8k),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=[*SUITES, "all"], help="the question set")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with dev/ and corpora/")
    parser.add_argument(
        "--model", default="embedded", help="which model, as in openai:gpt-5-mini; else the embedded one"
    )
    parser.add_argument("--limit", type=int, help="how many questions at the most")
    parser.add_argument("--database", default="sqlite:///:memory:", help="the ledger; else none is left")
    args = parser.parse_args()
    if not (args.data / "dev").is_dir():
        print(f"There is no evaluation data in {args.data}: name its folder with --data.", file=sys.stderr)
        raise SystemExit(2)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FLOWLEDGER_INDEX"] = str(Path(folder, "documents.db"))
        for name in SUITES if args.suite == "all" else [args.suite]:
            suite = SUITES[name]
            if suite.corpus is not None:
                corpus = rows_of(args.data / "corpora" / f"{suite.corpus}.jsonl.gz")
                DocumentIndex(Path(os.environ["FLOWLEDGER_INDEX"])).replace(name, documents_of(corpus))
            rows = asyncio.run(tried(name, suite, suite.cases(args.data)[: args.limit], args.model, args.database))
            print_rows(name, args.model if suite.mode is Mode.WHOLE else "no model", rows)


async def tried(name: str, suite: Suite, cases: Sequence[Case], model: str, database: str) -> Sequence[MetricRow]:
    """Try a suite as `flowledger eval run` would."""
    evaluation = Evaluation(evaluators={suite.workflow.name: suite.evaluators})
    models = {"large": Model(model), "small": Model(model)}
    app = App(workflows=[suite.workflow], models=models, database=database, evaluation=evaluation)
    async with app:
        await app.add_cases(name, cases, alike=1.0)
        done = await app.experiment(
            suite.workflow.name, name, mode=suite.mode, settings=suite.settings, name=name, plan=Plan(concurrency=8)
        )
        return await app.metrics_of(done.record)


def print_rows(name: str, model: str, rows: Sequence[MetricRow]) -> None:
    for row in rows:
        if row.mean is not None:
            ends = row.mean.interval()
            where = f"{max(0.0, ends.low):.3f} to {min(1.0, ends.high):.3f}"
            print(f"{name:9} {model:12} {row.name:26} {row.mean.value:.3f}  ({where})  {row.cases:,} cases", flush=True)


if __name__ == "__main__":
    main()

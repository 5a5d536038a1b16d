"""Cost and quality of `answer-docs` side by side: one model, cached, switched by difficulty, and cascaded.

All answer the same traffic: public questions on paragraphs of Wikipedia, three in ten of them asked before. Quality is
how often a right answer stands in the reply. Roles are played by FLOWLEDGER_MODEL_LARGE and FLOWLEDGER_MODEL_SMALL;
without them two stand-ins play: the embedded answerer at the price of gpt-5-mini, and the same, made to stop after its
first quotation, at the price of gpt-5-nano. The saving is against the large model alone.

    uv run python benchmarks/routing.py
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.answer_docs import indexed
from benchmarks.answering import contains
from benchmarks.retrieval import DEFAULT_DATA
from engine import App, Cache, Cascade, Chain, Difficulty, Extractive, Model, Price, Switch, Workflow
from engine.models.extractive.quoting import DO_NOT_KNOW
from engine.models.extractive.terms import terms
from engine.reports.routes import routes, savings
from engine.usage import to_usd
from guardrails import Citations

REPEATED, COVERED = 0.3, 0.6
LARGE_PRICE, SMALL_PRICE = Price(input="0.25", output="2.00"), Price(input="0.05", output="0.40")


class OneSentence(Extractive):
    """A weaker answerer: it stops after its first quotation."""

    def _answer(self, *asked: Any) -> tuple[str, str]:
        text, reason = super()._answer(*asked)
        first, mark, _ = text.partition("] ")
        return first + mark.strip(), reason


def knows(answer: str) -> bool | str:
    """Want an answer that does not say that it does not know."""
    return DO_NOT_KNOW not in answer or "it does not know"


def speaks_of_it(question: str, answer: str) -> bool | str:
    """Want an answer that has most of the question's words, as one that quotes the right place has."""
    asked = set(terms(question))
    shared = len(asked & set(terms(answer))) / max(1, len(asked))
    return shared >= COVERED or f"it has {shared:.0%} of the question's words"


def contestants() -> Mapping[str, Workflow]:
    """Give the same workflow with one model, a cache, a switch and a cascade."""
    from workflows.answer_docs import Ask, answer_docs

    class Rated(Ask):
        """The same, with what the rules say of the question."""

        difficulty: Literal["easy", "hard"] | None = None

    globals()["Rated"] = Rated  # a state is named by its import path
    Rated.__qualname__ = "Rated"
    rate = Difficulty(of=["question"], passages="passages", into="difficulty")

    def drafted(**changes: Any) -> Workflow:
        fields = {name: getattr(answer_docs, name) for name in type(answer_docs).model_fields}
        draft = answer_docs.nodes["draft"].model_copy(update=changes)
        nodes = {**answer_docs.nodes, "draft": type(draft)(**dict(draft)), "rate": rate}
        first, *edges = answer_docs.edges
        assert isinstance(first, Chain)
        start, find, *rest = first.nodes
        return Workflow(
            **(fields | {"state": Rated, "nodes": nodes, "edges": [Chain(start, find, "rate", *rest), *edges]})
        )

    switch = Switch(on="difficulty", to={"easy": "small", "hard": "large"})
    checks = [Citations(of="answer", sources="passages"), knows]
    cascade = Cascade(roles=["small", "large"], check=checks)
    strict = Cascade(roles=["small", "large"], check=[*checks, speaks_of_it])
    return {
        "large": drafted(),
        "small": drafted(model="small"),
        "large, cached": drafted(cache=Cache(ttl=3600)),
        "switched": drafted(model=switch),
        "cascaded": drafted(model=cascade),
        "cascaded, strict": drafted(model=strict),
        "strict, cached": drafted(model=strict, cache=Cache(ttl=3600)),
    }


def models() -> dict[str, Model | str]:
    """Give who plays the roles."""
    large, small = (os.environ.get(f"FLOWLEDGER_MODEL_{role}") for role in ("LARGE", "SMALL"))
    return {
        "large": large or Model(Extractive(), price=LARGE_PRICE, structured="response_schema"),
        "small": small or Model(OneSentence(), price=SMALL_PRICE, structured="response_schema"),
    }


def traffic(questions: Sequence[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    """Give the questions in their order, with some that were asked before in between."""
    chance, asked = random.Random(7), list[dict[str, Any]]()
    for number, row in enumerate(questions[:limit]):
        asked.append(row)
        if chance.random() < REPEATED / (1 - REPEATED):
            asked.append(questions[chance.randint(0, number)])
    return asked


async def measure(name: str, workflow: Workflow, asked: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Answer the traffic one run after another."""
    database = f"sqlite:///{folder}/{name.replace(', ', '-')}.db"
    right: list[bool] = []
    async with App(workflows=[workflow], models=models(), database=database) as app:
        spent = 0
        for row in track(asked, name, console=Console(stderr=True), transient=True):
            result = await app.run(workflow.name, {"question": row["question"], "collection": "xquad"})
            right.append(contains(str(result.output.get("answer", "")), row))
            record = await app.ledger.run(result.run_id)
            spent += record.cost_nano_usd or 0
        saved = await savings(app.ledger)
        ways = {row.route: row.share for row in await routes(app.ledger)}
    return {
        "runs": len(asked),
        "right": statistics.fmean(right),
        "usd_per_1000": float(to_usd(spent) or 0) / len(asked) * 1000,
        "usd_per_1000_right": float(to_usd(spent) or 0) / max(1, sum(right)) * 1000,
        "saved_by_cache_usd": float(to_usd(saved.cache) or 0),
        "saved_by_routing_usd": float(to_usd(saved.routing) or 0),
        "routes": ways,
    }


async def compare(data: Path, language: str, limit: int | None, folder: Path) -> dict[str, dict[str, Any]]:
    """Measure every contestant on a database of its own."""
    _, questions = indexed(data, language, folder)
    asked = traffic(questions, limit)
    return {name: await measure(name, workflow, asked, folder) for name, workflow in contestants().items()}


def show(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the figures as a table."""
    whole = found["large"]["usd_per_1000"]
    table = Table("", "right", "$ per 1,000", "to large", "$ per 1,000 right", "routes")
    for name, row in found.items():
        ways = ", ".join(f"{route} {share:.0%}" for route, share in row["routes"].items())
        cells = (f"{row['right']:.1%}", f"{row['usd_per_1000']:.4f}", f"{row['usd_per_1000'] / whole:.2f}")
        table.add_row(name, *cells, f"{row['usd_per_1000_right']:.4f}", ways)
    Console().print(table)


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with corpora/ and dev/")
    parser.add_argument("--language", default="en", choices=["en", "de", "zh"])
    parser.add_argument("--limit", type=int, help="ask only so many different questions")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (options.data / "corpora").is_dir():
        print(f"There is no evaluation data in {options.data}: name its folder with --data.", file=sys.stderr)
        raise SystemExit(2)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(compare(options.data, options.language, options.limit, Path(folder)))
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()

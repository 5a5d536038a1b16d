"""CPU per visit of each kind of node, above a run of the same length that computes next to nothing.

Models, tools and retrievers answer at once, so what is measured is the engine: records, guardrails, journal and ledger.
Kinds take turns round by round; the least of the rounds is shown, which is the steadiest figure on a shared machine.

    uv run python benchmarks/kinds.py --runs 100 --rounds 5
"""

import argparse
import asyncio
import json
import statistics
import tempfile
from typing import Any

from langchain_core.messages import AIMessage
from overhead import measure
from rich.console import Console
from rich.progress import track
from rich.table import Table

from engine import (
    END,
    START,
    Agent,
    AgentTool,
    App,
    CallTool,
    Chain,
    Compute,
    ForEach,
    Generate,
    Model,
    Node,
    Price,
    Retrieve,
    State,
    Subflow,
    Validate,
    Workflow,
)
from engine.testing import ScriptedModel, asking_for

VISITS = 5  # of the kind that is measured, in one run
ITEMS = ["one", "two", "three", "four"]


class Work(State):
    """What the nodes read and write."""

    text: str = "a text"
    count: int = 0
    items: list[str] = ITEMS
    found: list[str] = []  # noqa: RUF012 - pydantic copies the defaults of a state
    passages: list[dict[str, Any]] = []  # noqa: RUF012
    is_good: bool = False


def count_up(text: str, count: int) -> int:
    """Do next to nothing."""
    return count + 1 + (not text)


def shout(text: str) -> str:
    """Answer at once."""
    return text.upper()


def is_short(text: str) -> bool:
    """Agree."""
    return len(text) < 1000


async def search(query: str, *, top_k: int = 3) -> list[str]:
    """Find the same every time."""
    return [f"{query} {number}" for number in range(top_k)]


def answer(messages: Any) -> AIMessage | str:
    """Call a tool once, then answer."""
    return "done" if messages[-1].type == "tool" else asking_for(("shout", {"text": "a"}))


ONE = Workflow(
    name="one", state=Work, nodes={"one": Compute(function=count_up, into="count")}, edges=[Chain(START, "one", END)]
)
KINDS: dict[str, Node] = {
    "Compute": Compute(function=count_up, into="count"),
    "Validate": Validate(check=[is_short], into="is_good"),
    "Retrieve": Retrieve(retriever=search, query="text", into="passages", top_k=3),
    "CallTool, read": CallTool(tool=shout, args={"text": "text"}, into="text", effect="read"),
    "CallTool, once": CallTool(tool=shout, args={"text": "text"}, into="text", effect="once"),
    "Generate": Generate(model="plain", prompt="{text}", into="text", max_tokens=20),
    "Agent, 2 requests and a tool": Agent(
        model="agent", prompt="{text}", tools=[AgentTool(tool=shout, effect="read")], into="text", max_tokens=20
    ),
    "Subflow of one Compute": Subflow(workflow=ONE, input={"text": "text"}, into={"count": "count"}),
    "ForEach of four CallTools": ForEach(
        over="items",
        item="item",
        node=CallTool(tool=shout, args={"text": "item"}, into="result", effect="read"),
        into="found",
    ),
}


def workflow_of(name: str, node: Node) -> Workflow:
    """Give a workflow that visits nodes of one kind, one after another."""
    names = [f"n{number}" for number in range(VISITS)]
    return Workflow(name=name, state=Work, nodes=dict.fromkeys(names, node), edges=[Chain(START, *names, END)])


async def compare(runs: int, rounds: int) -> dict[str, dict[str, float]]:
    """Measure all kinds in turn, round by round."""
    workflows = {kind: workflow_of(f"kind-{number}", node) for number, (kind, node) in enumerate(KINDS.items())}
    free = Price(input="0", output="0")
    models = {
        "plain": Model(ScriptedModel(script=["done"]), price=free),
        "agent": Model(ScriptedModel(script=[answer]), price=free),
    }
    samples: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        async with App(workflows=workflows.values(), models=models, database=f"sqlite:///{folder}/runs.db") as app:
            for number in track(range(rounds + 1), "measuring", console=Console(stderr=True), transient=True):
                for kind, workflow in workflows.items():

                    async def one_run(_: str, name: str = workflow.name) -> None:
                        (await app.run(name, {})).raise_for_status()

                    cpu, _ = await measure(one_run, runs, side_by_side=20)
                    if number:  # the first round warms up
                        samples[kind].append(cpu / VISITS)
    least = min(samples["Compute"])
    return {
        kind: {
            "cpu_ms": min(found),
            "cpu_ms_median": statistics.median(found),
            "above_compute_ms": min(found) - least,
        }
        for kind, found in samples.items()
    }


def print_kinds(found: dict[str, dict[str, float]]) -> None:
    """Print what was measured as a table."""
    table = Table("", "CPU ms/visit", "median", "above Compute", title="a visit of each kind, 20 runs at a time")
    for kind, row in found.items():
        table.add_row(kind, *(f"{row[name]:.2f}" for name in ("cpu_ms", "cpu_ms_median", "above_compute_ms")))
    Console().print(table)


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="runs a round, of five visits each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(compare(options.runs, options.rounds))
    if options.json:
        print(json.dumps(found))
    else:
        print_kinds(found)


if __name__ == "__main__":
    main()

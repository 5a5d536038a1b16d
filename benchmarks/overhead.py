"""CPU per run of a five-node workflow: bare LangGraph, LangGraph with AsyncSqliteSaver, and flowledger with its ledger.

The three do the same work in the same process, interleaved round by round; the least of the rounds is shown, which is
the steadiest figure on a shared machine. Then comes a visit of each kind of node, which `kinds.py` measures by itself.

    uv run python benchmarks/overhead.py --runs 200 --rounds 5
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END as GRAPH_END
from langgraph.graph import START as GRAPH_START
from langgraph.graph import StateGraph
from rich.console import Console
from rich.progress import track
from rich.table import Table

from engine import END, START, App, Chain, Compute, State, Workflow

NODES = ("one", "two", "three", "four", "five")
TEXT = "a text of some length " * 90  # about 2 KB, as a state with a few passages has


class Work(State):
    """What the five nodes pass along."""

    text: str
    count: int = 0


class WorkChannels(TypedDict):
    """The same for LangGraph."""

    text: str
    count: int


def count_up(text: str, count: int) -> int:
    """Do next to nothing."""
    return count + 1 + (not text)


async def step(state: WorkChannels) -> dict[str, int]:
    """Do the same for LangGraph."""
    return {"count": count_up(state["text"], state["count"])}


def langgraph(saver: Any = None) -> Any:
    """Build the five nodes in LangGraph alone."""
    builder: Any = StateGraph(WorkChannels)
    for name in NODES:
        builder.add_node(name, step)
    for source, target in zip((GRAPH_START, *NODES), (*NODES, GRAPH_END), strict=True):
        builder.add_edge(source, target)
    return builder.compile(checkpointer=saver)


FIVE = Workflow(
    name="five",
    state=Work,
    nodes={name: Compute(function=count_up, into="count") for name in NODES},
    edges=[Chain(START, *NODES, END)],
)


async def measure(one_run: Callable[[str], Awaitable[Any]], runs: int, side_by_side: int) -> tuple[float, float]:
    """Give CPU milliseconds a run and runs a second."""
    queue = iter(range(runs))

    async def worker() -> None:
        for number in queue:
            await one_run(f"{time.monotonic_ns()}-{number}")

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(side_by_side)))
    return (time.process_time() - cpu) * 1000 / runs, runs / (time.perf_counter() - wall)


async def compare(runs: int, rounds: int, side_by_side: int) -> dict[str, dict[str, float]]:
    """Measure all three in turn, round by round."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncSqliteSaver.from_conn_string(str(Path(folder) / "peer.db")) as saver:
            bare, saved = langgraph(), langgraph(saver)
            app = App(workflows=[FIVE], database=f"sqlite:///{folder}/runs.db")

            async def on_bare(_: str) -> None:
                await bare.ainvoke({"text": TEXT, "count": 0})

            async def on_saver(thread: str) -> None:
                config = {"configurable": {"thread_id": thread}}
                await saved.ainvoke({"text": TEXT, "count": 0}, config, durability="sync")

            async def on_ours(_: str) -> None:
                (await app.run("five", {"text": TEXT})).raise_for_status()

            contestants = {"bare LangGraph": on_bare, "LangGraph + AsyncSqliteSaver": on_saver, "flowledger": on_ours}
            samples: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
            async with app:
                for number in track(range(rounds + 1), "measuring", console=Console(stderr=True), transient=True):
                    for name, one_run in contestants.items():
                        found = await measure(one_run, runs, side_by_side)
                        if number:  # the first round warms up
                            samples[name].append(found)
    return {
        name: {
            "cpu_ms": min(cpu for cpu, _ in found),
            "cpu_ms_median": statistics.median(cpu for cpu, _ in found),
            "runs_per_s": max(speed for _, speed in found),
        }
        for name, found in samples.items()
    }


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="runs a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {f"{width} at a time": asyncio.run(compare(options.runs, options.rounds, width)) for width in (1, 50)}
    from kinds import compare as compare_kinds  # it measures with what stands here
    from kinds import print_kinds

    kinds = asyncio.run(compare_kinds(max(options.runs // 2, 1), options.rounds))
    if options.json:
        print(json.dumps(found | {"kinds": kinds}))
        return
    for title, rows in found.items():
        table = Table("", "CPU ms/run", "median", "runs/s", "CPU ratio to bare", title=title)
        bare = rows["bare LangGraph"]["cpu_ms"]
        for name, row in rows.items():
            table.add_row(
                name,
                f"{row['cpu_ms']:.2f}",
                f"{row['cpu_ms_median']:.2f}",
                f"{row['runs_per_s']:.0f}",
                f"{row['cpu_ms'] / bare:.2f}",
            )
        Console().print(table)
    print_kinds(kinds)


if __name__ == "__main__":
    main()

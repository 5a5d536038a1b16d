"""Durable runs of a five-node workflow: flowledger and LangGraph's own checkpointers, on SQLite and on PostgreSQL.

All do the same work, each in a process of its own, interleaved round by round. Every run has a text of 2 KB of its own,
since equal ones would be stored once. CPU is that of the process, all threads included; a PostgreSQL server spends its
own beside it. Ratios of speed are medians of those within a round. Then come the bytes that runs leave on disk, and
those of one run that appends to a list again and again. `--profile` shows instead where the CPU of flowledger goes.

    uv run python benchmarks/durability.py --runs 200 --rounds 5
    uv run python benchmarks/durability.py --profile --runs 500
"""

import argparse
import asyncio
import cProfile
import json
import pstats
import re
import sqlite3
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from contestants import (
    BARE,
    KEEPING_ALL,
    MESSAGES,
    OURS_FULL,
    OURS_NORMAL,
    OURS_POSTGRES,
    SAVER_POSTGRES,
    SAVER_SQLITE,
    TALK,
    TURNS,
    fresh_database,
    measure_texts,
    process_of,
    runs_of,
    text_of,
)
from overhead import FIVE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from engine import Workflow

Rows = dict[str, dict[str, float]]  # figures of each contestant, by the heads of their columns

WRITER = "flowledger-writer"  # the name of the thread that commits
PEERS = {OURS_FULL: SAVER_SQLITE, OURS_NORMAL: SAVER_SQLITE, OURS_POSTGRES: SAVER_POSTGRES}
FORMATS = {"runs/s": "{:.0f}", "runs/s, median": "{:.0f}", "share": "{:.0%}", "own time": "{:.1%}"}
STDERR = Console(stderr=True)
TALKS = 10


def compare(runs: int, rounds: int, postgres: str) -> dict[str, Rows]:
    """Measure all contestants in turn, round by round, one run at a time and 50."""
    names = [BARE, SAVER_SQLITE, OURS_FULL, OURS_NORMAL, *([SAVER_POSTGRES, OURS_POSTGRES] if postgres else [])]
    found: dict[str, Rows] = {}
    with ExitStack() as stack:
        places = [stack.enter_context(fresh_database(name, postgres)) for name in names]
        asked = {name: stack.enter_context(process_of(*one)) for name, *one in zip(names, names, places, strict=True)}
        for side_by_side in (1, 50):
            title = f"{side_by_side} at a time"
            samples: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
            for number in track(range(rounds + 1), title, console=STDERR, transient=True):
                for name, ask in asked.items():
                    sample = ask(runs, side_by_side)
                    if number:  # the first round warms up
                        samples[name].append(sample)
            found[title] = figures(samples)
    return found


def figures(samples: dict[str, list[tuple[float, float]]]) -> Rows:
    """Compare what was measured: CPU milliseconds a run and runs a second of each round."""
    cpus = {name: [cpu for cpu, _ in found] for name, found in samples.items()}
    speeds = {name: [speed for _, speed in found] for name, found in samples.items()}
    rows: Rows = {}
    for name in samples:
        rows[name] = {"runs/s": max(speeds[name]), "runs/s, median": statistics.median(speeds[name])}
        if peer := PEERS.get(name):
            ratios = [ours / theirs for ours, theirs in zip(speeds[name], speeds[peer], strict=True)]
            rows[name]["to peer"] = statistics.median(ratios)
        rows[name] |= {"CPU ms/run": min(cpus[name]), "CPU, median": statistics.median(cpus[name])}
        rows[name]["CPU above bare"] = min(cpus[name]) - min(cpus[BARE])
    return rows


def size_of(database: str) -> int:
    """Give the bytes of a closed database: a file with its log written back, or tables with their indexes."""
    if "://" not in database:
        connection = sqlite3.connect(database)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return sum(part.stat().st_size for part in Path(database).parent.glob("runs.db*"))
    query = """SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = current_schema()"""
    with psycopg.connect(database) as connection:
        (size,) = connection.execute(query).fetchone() or (0,)
        return int(size)


async def bytes_left(names: Sequence[str], workflow: Workflow, texts: list[str], unit: float, postgres: str) -> Rows:
    """Make one run a text with each contestant, and see what is on disk when it has closed, in a unit of bytes."""
    rows: Rows = {}
    for name in track(names, f"bytes of {workflow.name}", console=STDERR, transient=True):
        with fresh_database(name, postgres) as database:
            async with runs_of(name, database, workflow) as one_run:
                await measure_texts(one_run, texts, side_by_side=10)
            rows[name] = {"bytes": size_of(database) / unit}
        if peer := PEERS.get(name.removesuffix(KEEPING_ALL)):
            rows[name]["to peer"] = rows[name]["bytes"] / rows[peer]["bytes"]
    return rows


def cpu_of_threads() -> dict[str, float]:
    """Give the seconds of CPU that this thread and the writer's have used."""
    writers = [thread.ident or 0 for thread in threading.enumerate() if thread.name == WRITER]
    used = sum(time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in writers)
    return {"loop": time.thread_time(), WRITER: used}


async def profile(runs: int) -> dict[str, Rows]:
    """Run flowledger alone, 50 at a time: as it is, to see which threads use the CPU, and again under cProfile.

    Each thread has a profiler of its own; from Python 3.12 on, cProfile sees all threads at once and mixes them up.
    """
    profilers = {name: cProfile.Profile(time.thread_time_ns, 1e-9) for name in ("loop", WRITER)}
    warm_up, texts = ([text_of(2_000) for _ in range(count)] for count in (50, 2 * runs))
    spent: dict[str, float] = {}

    def watch(*_: Any) -> None:  # called by each new thread at its first step; cProfile takes its place there
        if threading.current_thread().name == WRITER:
            profilers[WRITER].enable()

    for profiled in (False, True):
        threading.setprofile(watch if profiled else None)  # type: ignore[arg-type]
        with fresh_database(OURS_FULL, "") as database:
            async with runs_of(OURS_FULL, database) as one_run:
                await measure_texts(one_run, warm_up, 50)  # opens the database and compiles the workflow
                if profiled:
                    profilers["loop"].enable()
                before = cpu_of_threads()
                cpu_ms, _ = await measure_texts(one_run, texts[:runs] if profiled else texts[runs:], 50)
                profilers["loop"].disable()
                if not profiled:
                    spent = {name: (cpu - before[name]) * 1000 / runs for name, cpu in cpu_of_threads().items()}
                    spent["others"] = cpu_ms - sum(spent.values())
    threading.setprofile(None)  # type: ignore[arg-type]
    whole = sum(spent.values())
    found = {"threads": {name: {"CPU ms/run": ms, "share": ms / whole} for name, ms in spent.items()}}
    for name, profiler in profilers.items():
        if profiler.getstats():  # empty if no thread has the writer's name
            found |= own_times(name, pstats.Stats(profiler).stats)  # type: ignore[attr-defined]
    return found


def own_times(thread: str, stats: dict[Any, Any]) -> dict[str, Rows]:
    """Share own time out among packages and functions; what is written in C counts for the package that calls it."""
    packages, functions = Counter[str](), Counter[str]()
    for (file, line, name), (_, _, own, _, callers) in stats.items():
        package = package_of(file)
        functions[f"{package}: {Path(file).name}:{line} {name}" if package else name] += own
        shares = [(package, own)] if package else [(package_of(one[0]), part[2]) for one, part in callers.items()]
        for charged, part in shares:
            packages[charged or "C"] += part
    total = sum(functions.values())
    return {
        f"{thread}, {kind}": {name: {"own time": own / total} for name, own in counted.most_common(25)}
        for kind, counted in (("packages", packages), ("functions", functions))
    }


def package_of(file: str) -> str:
    """Name the package of a file, a floor of the engine by itself; nothing for C and for generated code."""
    if not Path(file).is_absolute():
        return ""
    if found := re.search(r"/site-packages/([^/]+?)(?:\.py)?(?:/|$)", file):
        return found[1]
    if found := re.search(r"/(engine(?:/\w+(?=/))?)", file.removeprefix(str(Path(__file__).parents[1]))):
        return found[1]
    return "asyncio" if "/asyncio/" in file else "benchmarks" if "/benchmarks/" in file else "stdlib"


def postgres_if_there(url: str) -> str:
    """Give the address if a server answers and its peer is installed, else nothing and a note."""
    if not find_spec("psycopg_pool") or not find_spec("langgraph.checkpoint.postgres"):
        STDERR.print("PostgreSQL is left out: langgraph-checkpoint-postgres is not installed")
        return ""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.Error as error:
        STDERR.print(f"PostgreSQL is left out: {str(error).splitlines()[0]}")
        return ""
    return url


def show(title: str, rows: Rows) -> None:
    """Print figures as a table."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    table = Table("", *columns, title=title)
    for name, row in rows.items():
        cells = (FORMATS.get(column, "{:,.2f}").format(row[column]) if column in row else "" for column in columns)
        table.add_row(name, *cells)
    Console().print(table)


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="runs a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--disk-runs", type=int, default=1_000, help="runs whose bytes on disk are counted")
    parser.add_argument(
        "--postgres",
        metavar="URL",
        default="postgresql://root@127.0.0.1:5432/test",
        help="each contestant gets a schema of its own",
    )
    parser.add_argument("--profile", action="store_true", help="profile flowledger, 50 at a time, and nothing else")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.profile:
        found = asyncio.run(profile(options.runs))
    else:
        postgres = postgres_if_there(options.postgres)
        found = compare(options.runs, options.rounds, postgres)
        both = [SAVER_SQLITE, OURS_FULL, OURS_FULL + KEEPING_ALL]
        both += [SAVER_POSTGRES, OURS_POSTGRES, OURS_POSTGRES + KEEPING_ALL] if postgres else []
        texts = [text_of(2_000) for _ in range(options.disk_runs)]
        found["on disk, a run"] = asyncio.run(bytes_left(both, FIVE, texts, len(texts), postgres))
        said = [str(number) for number in range(TALKS)]
        size = sum(len(text + message) for text in said for message in MESSAGES)
        title = f"on disk, a byte of {TALKS} runs of {TURNS} messages"
        found[title] = asyncio.run(bytes_left(both, TALK, said, size, postgres))
    if options.json:
        print(json.dumps(found))
        return
    for title, rows in found.items():
        show(title, rows)


if __name__ == "__main__":
    main()

"""Durable runs of a five-node workflow: flowledger and LangGraph's own checkpointers, on SQLite and on PostgreSQL.

All do the same work in one process, interleaved round by round. Every run has a text of 2 KB of its own, since equal
ones would be stored once. CPU is that of this process, all threads included; a PostgreSQL server spends its own beside
it. Ratios of speed are medians of those within a round. Then come the bytes that runs leave on disk, and those of one
run that appends to a list again and again. `--profile` shows instead where the CPU of flowledger goes.

    uv run python benchmarks/durability.py --runs 200 --rounds 5
    uv run python benchmarks/durability.py --profile --runs 500
"""

import argparse
import asyncio
import cProfile
import json
import operator
import pstats
import random
import re
import sqlite3
import statistics
import string
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypedDict

import psycopg
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END as GRAPH_END
from langgraph.graph import START as GRAPH_START
from langgraph.graph import StateGraph
from overhead import FIVE, langgraph, measure
from rich.console import Console
from rich.progress import track
from rich.table import Table

from engine import END, START, App, Append, Branch, Chain, Compute, State, Workflow
from engine.store.database import Database

Run = Callable[[str, str], Awaitable[Any]]  # takes the id of a thread and a text
Rows = dict[str, dict[str, float]]  # figures of each contestant, by the heads of their columns

WRITER = "flowledger-writer"  # the name of the thread that commits
BARE = "LangGraph, not durable"
SAVER_SQLITE, SAVER_POSTGRES = "LangGraph, SQLite FULL", "LangGraph, PostgreSQL"
OURS_FULL, OURS_NORMAL, OURS_POSTGRES = "flowledger, SQLite FULL", "flowledger, SQLite NORMAL", "flowledger, PostgreSQL"
KEEPING_ALL = ", every checkpoint"
PEERS = {OURS_FULL: SAVER_SQLITE, OURS_NORMAL: SAVER_SQLITE, OURS_POSTGRES: SAVER_POSTGRES}
TURNS = 200
FORMATS = {"runs/s": "{:.0f}", "runs/s, median": "{:.0f}", "share": "{:.0%}", "own time": "{:.1%}"}
STDERR = Console(stderr=True)

CHANCE = random.Random(7)
WORDS = ["".join(CHANCE.choices(string.ascii_lowercase, k=CHANCE.randint(3, 10))) for _ in range(5_000)]


def text_of(size: int) -> str:
    """Give a text of so many characters that does not compress into nothing; no two are the same."""
    return " ".join(CHANCE.choices(WORDS, k=size // 4))[:size]


MESSAGES = [text_of(1_000) for _ in range(TURNS)]


class Talk(State):
    """A list that grows by a message a turn."""

    messages: Annotated[list[str], Append()] = []  # noqa: RUF012 - pydantic copies the defaults of a state
    count: int = 0
    more: bool = True


class TalkChannels(TypedDict):
    """The same for LangGraph."""

    messages: Annotated[list[str], operator.add]
    count: int
    more: bool


def say(count: int) -> dict[str, Any]:
    """Give the next message."""
    return {"messages": [MESSAGES[count]], "count": count + 1, "more": count + 1 < TURNS}


async def turn(state: TalkChannels) -> dict[str, Any]:
    """Do the same for LangGraph."""
    return say(state["count"])


TALK = Workflow(
    name="talk",
    state=Talk,
    nodes={"turn": Compute(function=say, into=("messages", "count", "more"), max_visits=TURNS)},
    edges=[Chain(START, "turn"), Branch("turn", on="more", to={"true": "turn", "false": END})],
)


def langgraph_talk(saver: Any) -> Any:
    """Build the same loop in LangGraph alone."""
    builder: Any = StateGraph(TalkChannels)
    builder.add_node("turn", turn)
    builder.add_edge(GRAPH_START, "turn")
    builder.add_conditional_edges("turn", lambda state: state["more"], {True: "turn", False: GRAPH_END})
    return builder.compile(checkpointer=saver)


@contextmanager
def fresh_database(name: str, postgres: str) -> Iterator[str]:
    """Give a contestant a database of its own, removed afterwards: the path of a file, or an address with a schema."""
    if "PostgreSQL" not in name:
        with tempfile.TemporaryDirectory(prefix="durability-") as folder:
            yield f"{folder}/runs.db"
        return
    schema = f"durability_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            yield f"{postgres}{'&' if '?' in postgres else '?'}options=-csearch_path%3D{schema}"
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


@asynccontextmanager
async def saver_on(database: str) -> AsyncIterator[Any]:
    """Open LangGraph's checkpointer, as its manual says."""
    if "://" not in database:
        async with AsyncSqliteSaver.from_conn_string(database) as saver:  # WAL, and SQLite's default synchronous=FULL
            yield saver
        return
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    each = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: Any = AsyncConnectionPool(database, min_size=10, max_size=10, kwargs=each, open=False)
    async with pool:
        saver = AsyncPostgresSaver(pool)
        await saver.setup()
        yield saver


def app_on(name: str, database: str, workflow: Workflow) -> App:
    """Make the app of a contestant of ours."""
    if "PostgreSQL" in name:
        Database.open(database, migrate=True).close()
    else:
        database = f"sqlite:///{database}?synchronous={'normal' if 'NORMAL' in name else 'full'}"
    return App(workflows=[workflow], database=database, keep_checkpoints="all" if KEEPING_ALL in name else "unfinished")


@asynccontextmanager
async def runs_of(name: str, database: str, workflow: Workflow = FIVE) -> AsyncIterator[Run]:
    """Open a contestant, and give what makes one run of the workflow."""
    async with AsyncExitStack() as stack:
        if name.startswith("flowledger"):
            app = await stack.enter_async_context(app_on(name, database, workflow))

            async def on_ours(_: str, text: str) -> None:
                (await app.run(workflow.name, {"text": text} if workflow is FIVE else {})).raise_for_status()

            yield on_ours
            return
        saver = None if name == BARE else await stack.enter_async_context(saver_on(database))
        graph = langgraph(saver) if workflow is FIVE else langgraph_talk(saver)
        durable: dict[str, Any] = {} if saver is None else {"durability": "sync"}

        async def on_langgraph(thread: str, text: str) -> None:
            config = {"configurable": {"thread_id": thread}, "recursion_limit": 2 * TURNS}
            given = {"text": text, "count": 0} if workflow is FIVE else {"count": 0}
            await graph.ainvoke(given, config, **durable)

        yield on_langgraph


async def measure_texts(one_run: Run, texts: list[str], side_by_side: int) -> tuple[float, float]:
    """Give CPU milliseconds a run and runs a second, each run with a text of its own."""
    left = iter(texts)
    return await measure(lambda thread: one_run(thread, next(left)), len(texts), side_by_side)


async def compare(runs: int, rounds: int, side_by_side: int, postgres: str) -> Rows:
    """Measure all contestants in turn, round by round."""
    names = [BARE, SAVER_SQLITE, OURS_FULL, OURS_NORMAL, *([SAVER_POSTGRES, OURS_POSTGRES] if postgres else [])]
    cpus: dict[str, list[float]] = {name: [] for name in names}
    speeds: dict[str, list[float]] = {name: [] for name in names}
    async with AsyncExitStack() as stack:
        places = [stack.enter_context(fresh_database(name, postgres)) for name in names]
        entered = [await stack.enter_async_context(runs_of(*one)) for one in zip(names, places, strict=True)]
        for number in track(range(rounds + 1), f"{side_by_side} at a time", console=STDERR, transient=True):
            texts = [text_of(2_000) for _ in range(runs)]
            for name, one_run in zip(names, entered, strict=True):
                cpu, speed = await measure_texts(one_run, texts, side_by_side)
                if number:  # the first round warms up
                    cpus[name].append(cpu)
                    speeds[name].append(speed)
    rows: Rows = {}
    for name in names:
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
                cpu_ms, _ = await measure_texts(one_run, texts, side_by_side=10)
            rows[name] = {"bytes": size_of(database) / unit}
        if peer := PEERS.get(name.removesuffix(KEEPING_ALL)):
            rows[name]["to peer"] = rows[name]["bytes"] / rows[peer]["bytes"]
        rows[name]["CPU ms/run"] = cpu_ms
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
    parser.add_argument("--disk-runs", type=int, default=200, help="runs whose bytes on disk are counted")
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
        found = {
            f"{width} at a time": asyncio.run(compare(options.runs, options.rounds, width, postgres))
            for width in (1, 50)
        }
        sqlite = (SAVER_SQLITE, OURS_FULL, OURS_FULL + KEEPING_ALL)
        both = (*sqlite, *((SAVER_POSTGRES, OURS_POSTGRES, OURS_POSTGRES + KEEPING_ALL) if postgres else ()))
        texts = [text_of(2_000) for _ in range(options.disk_runs)]
        found["on disk, a run"] = asyncio.run(bytes_left(both, FIVE, texts, len(texts), postgres))
        said = sum(map(len, MESSAGES))
        found[f"on disk, a byte of {TURNS} messages"] = asyncio.run(bytes_left(sqlite, TALK, [""], said, postgres))
    if options.json:
        print(json.dumps(found))
        return
    for title, rows in found.items():
        show(title, rows)


if __name__ == "__main__":
    main()

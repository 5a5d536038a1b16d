"""The contestants of `durability.py`: flowledger and LangGraph with its checkpointers, each in a process of its own.

So nobody gains from what another does to the process: its threads, its settings of the garbage collector.
"""

import asyncio
import multiprocessing
import operator
import random
import string
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from typing import Annotated, Any, TypedDict

import psycopg
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END as GRAPH_END
from langgraph.graph import START as GRAPH_START
from langgraph.graph import StateGraph
from overhead import FIVE, langgraph, measure

from engine import END, START, App, Append, Branch, Chain, Compute, State, Workflow
from engine.store.database import Database

Run = Callable[[str, str], Awaitable[Any]]  # takes the id of a thread and a text

BARE = "LangGraph, not durable"
SAVER_SQLITE, SAVER_POSTGRES = "LangGraph, SQLite FULL", "LangGraph, PostgreSQL"
OURS_FULL, OURS_NORMAL, OURS_POSTGRES = "flowledger, SQLite FULL", "flowledger, SQLite NORMAL", "flowledger, PostgreSQL"
KEEPING_ALL = ", every checkpoint"
TURNS = 200

CHANCE = random.Random(7)
WORDS = ["".join(CHANCE.choices(string.ascii_lowercase, k=CHANCE.randint(3, 10))) for _ in range(5_000)]


def text_of(size: int) -> str:
    """Give a text of so many characters that does not compress into nothing; no two are the same."""
    return " ".join(CHANCE.choices(WORDS, k=size // 4))[:size]


MESSAGES = [text_of(1_000) for _ in range(TURNS)]


class Talk(State):
    """A list that grows by a message a turn; no two talks have the same ones."""

    text: str
    messages: Annotated[list[str], Append()] = []  # noqa: RUF012 - pydantic copies the defaults of a state
    count: int = 0
    more: bool = True


class TalkChannels(TypedDict):
    """The same for LangGraph."""

    text: str
    messages: Annotated[list[str], operator.add]
    count: int
    more: bool


def say(text: str, count: int) -> dict[str, Any]:
    """Give the next message."""
    return {"messages": [text + MESSAGES[count]], "count": count + 1, "more": count + 1 < TURNS}


async def turn(state: TalkChannels) -> dict[str, Any]:
    """Do the same for LangGraph."""
    return say(state["text"], state["count"])


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
                (await app.run(workflow.name, {"text": text})).raise_for_status()

            yield on_ours
            return
        saver = None if name == BARE else await stack.enter_async_context(saver_on(database))
        graph = langgraph(saver) if workflow is FIVE else langgraph_talk(saver)
        durable: dict[str, Any] = {} if saver is None else {"durability": "sync"}

        async def on_langgraph(thread: str, text: str) -> None:
            config = {"configurable": {"thread_id": thread}, "recursion_limit": 2 * TURNS}
            await graph.ainvoke({"text": text, "count": 0}, config, **durable)

        yield on_langgraph


async def measure_texts(one_run: Run, texts: list[str], side_by_side: int) -> tuple[float, float]:
    """Give CPU milliseconds a run and runs a second, each run with a text of its own."""
    left = iter(texts)
    return await measure(lambda thread: one_run(thread, next(left)), len(texts), side_by_side)


@contextmanager
def process_of(name: str, database: str) -> Iterator[Callable[[int, int], tuple[float, float]]]:
    """Open a contestant in a process of its own; give what has it make so many runs, so many side by side.

    What it gives is CPU milliseconds a run and runs a second.
    """
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=_compete, args=(name, database, there), daemon=True)
    process.start()
    there.close()

    def ask(runs: int, side_by_side: int) -> tuple[float, float]:
        here.send((runs, side_by_side))
        return here.recv()

    try:
        yield ask
    finally:
        here.close()  # it ends
        process.join()


def _compete(name: str, database: str, pipe: Connection) -> None:
    asyncio.run(_answer(name, database, pipe))


async def _answer(name: str, database: str, pipe: Connection) -> None:
    async with runs_of(name, database) as one_run:
        while True:
            try:
                runs, side_by_side = pipe.recv()
            except EOFError:
                return
            pipe.send(await measure_texts(one_run, [text_of(2_000) for _ in range(runs)], side_by_side))

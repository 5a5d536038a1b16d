"""What our checkpointer promises besides what LangGraph's conformance suite asks, on every database."""

import asyncio
import gc
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME, SCHEDULED
from sqlalchemy import text

from engine.store.database import Database
from engine.store.ledger import SqlLedger

LONG = "a text that is too long to stand inline " * 250
SHARED = pytest.mark.parametrize("database_url", ["sqlite file", "postgresql"], indirect=True)
QUOTED = [
    "'",
    '"',
    "a' OR '1'='1",
    'a" OR "1"="1',
    "') OR 1=1 --",
    "x') = 1; DROP TABLE checkpoints; --",
    "$.a",
    "a\\",
    "%",
]


@dataclass
class Point:
    """A class that nobody has registered."""

    x: int
    made: ClassVar[list[int]] = []

    def __post_init__(self) -> None:
        self.made.append(self.x)


@pytest.fixture
async def database(database_url: str) -> Database:
    return Database.open(database_url, migrate=True)


@pytest.fixture
async def saver(database: Database) -> AsyncIterator[BaseCheckpointSaver]:
    ledger = SqlLedger(database)
    yield ledger.checkpoints
    await ledger.close()


def at(number: int | None = None, *, thread: str = "thread", namespace: str = "", **fields: Any) -> RunnableConfig:
    """Give a configuration that names a checkpoint by its number, or the latest."""
    named = {"thread_id": thread, "checkpoint_ns": namespace}
    return {"configurable": named | ({} if number is None else {"checkpoint_id": id_of(number)}) | fields}


def id_of(number: int) -> str:
    return f"1f0a0000-0000-6000-8000-{number:012x}"


async def put(
    saver: BaseCheckpointSaver,
    number: int,
    values: dict[str, Any] | None = None,
    *,
    after: RunnableConfig | None = None,
    versions: dict[str, int] | None = None,
    new: dict[str, int] | None = None,
    **metadata: Any,
) -> RunnableConfig:
    """Put a checkpoint whose channels have all changed, unless it is said which are new."""
    versions = versions or dict.fromkeys(values or {}, number + 1)
    checkpoint = {
        "v": 4,
        "id": id_of(number),
        "ts": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        "channel_values": values or {},
        "channel_versions": versions,
        "versions_seen": {},
        "updated_channels": None,
    }
    said = {"source": "loop", "step": number, "parents": {}} | metadata
    return await saver.aput(after or at(), checkpoint, said, versions if new is None else new)


async def read(saver: BaseCheckpointSaver, config: RunnableConfig) -> CheckpointTuple:
    found = await saver.aget_tuple(config)
    assert found is not None
    return found


async def values(saver: BaseCheckpointSaver, config: RunnableConfig) -> dict[str, Any]:
    return (await read(saver, config)).checkpoint["channel_values"]


async def pending(saver: BaseCheckpointSaver, config: RunnableConfig) -> list[tuple[str, str, Any]]:
    return [*((await read(saver, config)).pending_writes or [])]


async def numbers(saver: BaseCheckpointSaver, config: RunnableConfig | None, **asked: Any) -> list[int]:
    """Give the steps of what is listed."""
    return [found.metadata["step"] async for found in saver.alist(config, **asked)]


# what tasks wrote


async def test_what_tasks_wrote_is_read_in_the_order_of_path_then_task_then_index(saver):
    await put(saver, 1)
    tasks = [("b", "~2"), ("z", "~1"), ("a", "~2"), ("y", ""), ("c", "~10")]
    for task, path in tasks:
        await saver.aput_writes(at(1), [("one", task), ("two", task)], task, path)
    order = [task for task, _ in sorted(tasks, key=lambda task: (task[1], task[0]))]
    assert await pending(saver, at(1)) == [(task, channel, task) for task in order for channel in ("one", "two")]


async def test_the_eleventh_write_of_a_task_comes_after_its_tenth_and_not_after_its_first(saver):
    await put(saver, 1)
    await saver.aput_writes(at(1), [("channel", index) for index in range(25)], "task", "path")
    assert [value for _, _, value in await pending(saver, at(1))] == list(range(25))


async def test_a_listed_checkpoint_has_its_writes_in_the_same_order(saver):
    await put(saver, 1)
    for task, path in [("b", "~1"), ("a", "~2"), ("c", "~0")]:
        await saver.aput_writes(at(1), [("channel", task)], task, path)
    (listed,) = [found async for found in saver.alist(at())]
    assert listed.pending_writes == await pending(saver, at(1))
    assert [task for task, _, _ in listed.pending_writes] == ["c", "b", "a"]


async def test_a_regular_write_stays_when_its_task_writes_again(saver):
    await put(saver, 1)
    await saver.aput_writes(at(1), [("channel", "first"), ("other", "first")], "task")
    await saver.aput_writes(at(1), [("channel", "second"), ("other", "second"), ("third", "second")], "task")
    assert [(channel, value) for _, channel, value in await pending(saver, at(1))] == [
        ("channel", "first"),
        ("other", "first"),
        ("third", "second"),
    ]


@pytest.mark.parametrize("channel", [ERROR, SCHEDULED, INTERRUPT, RESUME])
async def test_a_special_write_replaces_the_one_before(saver, channel):
    await put(saver, 1)
    await saver.aput_writes(at(1), [(channel, "first")], "task")
    await saver.aput_writes(at(1), [(channel, "second")], "task")
    await saver.aput_writes(at(1), [(channel, "another task's")], "zother")
    assert await pending(saver, at(1)) == [("task", channel, "second"), ("zother", channel, "another task's")]


async def test_special_writes_of_one_task_stand_beside_each_other_and_its_regular_ones(saver):
    await put(saver, 1)
    await saver.aput_writes(at(1), [("channel", "regular")], "task")
    await saver.aput_writes(at(1), [(INTERRUPT, ["asked"])], "task")
    await saver.aput_writes(at(1), [(RESUME, ["said"]), (ERROR, "failed")], "task")
    written = {channel: value for _, channel, value in await pending(saver, at(1))}
    assert written == {"channel": "regular", INTERRUPT: ["asked"], RESUME: ["said"], ERROR: "failed"}


async def test_a_special_write_among_regular_ones_stays_as_those_do(saver):
    await put(saver, 1)
    await saver.aput_writes(at(1), [("channel", "first"), (ERROR, "first")], "task")
    await saver.aput_writes(at(1), [("channel", "second"), (ERROR, "second")], "task")
    assert {value for _, _, value in await pending(saver, at(1))} == {"first"}


async def test_what_many_threads_write_at_once_is_all_kept(saver):
    await put(saver, 1)
    with ThreadPoolExecutor(8) as threads:
        written = [
            threads.submit(saver.put_writes, at(1), [("channel", number)], f"task {number:03}") for number in range(64)
        ]
        await asyncio.to_thread(lambda: [one.result() for one in written])
    assert [value for _, _, value in await pending(saver, at(1))] == list(range(64))


# clones


async def test_a_clone_that_knows_more_classes_shares_the_database(saver):
    clone = saver.with_allowlist([(Point.__module__, Point.__name__)])
    assert clone is not saver
    await put(saver, 1, {"by": "the original", "point": Point(1)})
    assert await values(clone, at()) == {"by": "the original", "point": Point(1)}
    await put(clone, 2, {"by": "the clone", "point": Point(2)}, after=at(1))
    await clone.aput_writes(at(2), [("channel", "written by the clone")], "task")
    assert await values(saver, at()) == {"by": "the clone", "point": {"x": 2}}
    assert await pending(saver, at()) == [("task", "channel", "written by the clone")]
    assert await numbers(saver, at()) == await numbers(clone, at()) == [2, 1]


async def test_the_original_lives_on_when_its_clones_are_gone(saver):
    for number in range(1, 4):
        clone = saver.with_allowlist([(Point.__module__, f"{Point.__name__}{number}")])
        await put(clone, number)
        del clone
        gc.collect()
    await put(saver, 4)
    assert await numbers(saver, at()) == [4, 3, 2, 1]


# versions


async def test_versions_are_whole_numbers_that_only_grow(saver):
    seen = [saver.get_next_version(None, None)]
    for _ in range(500):
        seen.append(saver.get_next_version(seen[-1], None))
    assert all(type(version) is int for version in seen)
    assert all(earlier < later for earlier, later in pairwise(seen))


async def test_forks_of_one_version_get_different_ones(saver):
    start = saver.get_next_version(None, None)
    forks = {saver.get_next_version(start, None) for _ in range(5)}
    assert len(forks) == 5
    assert len({saver.get_next_version(None, None) for _ in range(5)}) == 5


async def test_a_version_fits_its_column_after_a_billion_steps(saver):
    start, following = saver.get_next_version(None, None), 0
    following = saver.get_next_version(start * 10**9, None)
    assert start * 10**9 < following < 2**63
    await put(saver, 1, {"long": LONG}, versions={"long": following})
    assert await values(saver, at()) == {"long": LONG}


async def test_each_of_two_forks_reads_its_own_value(saver):
    first = saver.get_next_version(None, None)
    await put(saver, 1, {"long": LONG}, versions={"long": first})
    for number, fork in ((2, "left"), (3, "right")):
        version = saver.get_next_version(first, None)
        await put(saver, number, {"long": LONG + fork}, after=at(1), versions={"long": version})
    assert [await values(saver, at(number)) for number in (1, 2, 3)] == [
        {"long": LONG},
        {"long": LONG + "left"},
        {"long": LONG + "right"},
    ]


# listing


async def test_whoever_lists_may_read_and_write_before_the_next_one(saver):
    for number in range(1, 6):
        await put(saver, number, {"number": number, "long": LONG})
    seen = []
    async with asyncio.timeout(20):
        async for listed in saver.alist(at()):
            again = await read(saver, listed.config)
            assert again.checkpoint["channel_values"] == listed.checkpoint["channel_values"]
            await saver.aput_writes(listed.config, [("channel", 1)], "task")
            await put(saver, 100 + len(seen), after=at(5))
            seen.append(listed.checkpoint["channel_values"]["number"])
    assert seen == [5, 4, 3, 2, 1]


async def test_whoever_lists_and_waits_may_read_and_write_before_the_next_one(saver):
    for number in range(1, 4):
        await put(saver, number, {"number": number})

    def walk() -> list[int]:
        seen = []
        for listed in saver.list(at()):
            assert saver.get_tuple(listed.config) is not None
            saver.put_writes(listed.config, [("channel", 1)], "task")
            seen.append(listed.checkpoint["channel_values"]["number"])
        return seen

    async with asyncio.timeout(20):
        assert await asyncio.to_thread(walk) == [3, 2, 1]


async def test_a_listing_that_is_given_up_harms_nothing(saver):
    for number in range(1, 6):
        await put(saver, number)
    async with asyncio.timeout(20):
        for _ in range(30):  # more than any pool has connections
            abandoned = saver.alist(at())
            await anext(abandoned)
            del abandoned
        closed = saver.alist(at())
        await anext(closed)
        await closed.aclose()
        gc.collect()
        await put(saver, 6)
        await saver.adelete_thread("another")
        assert await numbers(saver, at()) == [6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("key", QUOTED)
async def test_a_key_of_a_filter_is_never_read_as_sql(saver, key):
    await put(saver, 1, note="plain")
    assert await numbers(saver, at(), filter={key: "1"}) == []
    assert await numbers(saver, None, filter={key: 1, "note": "plain"}) == []
    await put(saver, 2, **{key: "1"})
    assert await numbers(saver, at(), filter={key: "1"}) == [2]
    assert await numbers(saver, at(), filter={"note": "plain"}) == [1]


@pytest.mark.parametrize("name", QUOTED)
async def test_no_value_or_name_is_read_as_sql(saver, name):
    await put(saver, 1, {"kept": 1})
    await put(saver, 2, {name: LONG}, after=at(thread=name, namespace=name), note=name)
    await saver.aput_writes(at(2, thread=name, namespace=name), [(name, name)], name, name)
    assert await numbers(saver, None, filter={"note": name}) == [2]
    found = await read(saver, at(thread=name, namespace=name))
    assert found.checkpoint["channel_values"] == {name: LONG}
    assert found.pending_writes == [(name, name, name)]
    assert await saver.aget_tuple(at(thread="thread", checkpoint_id=name)) is None
    await saver.adelete_thread(name)
    assert await numbers(saver, None) == [1]


# values


async def test_a_value_of_a_class_nobody_registered_comes_back_as_plain_data(saver):
    await put(saver, 1, {"point": Point(1), "points": [Point(2)]})
    await saver.aput_writes(at(1), [("channel", Point(3))], "task")
    Point.made.clear()
    assert await values(saver, at()) == {"point": {"x": 1}, "points": [{"x": 2}]}
    assert await pending(saver, at()) == [("task", "channel", {"x": 3})]
    assert Point.made == []


async def test_a_value_that_only_pickle_could_hold_is_refused_and_nothing_of_it_is_stored(saver):
    await put(saver, 1, {"kept": LONG})
    with pytest.raises(Exception, match="serializable"):
        await put(saver, 2, {"kept": LONG, "function": lambda: None}, after=at(1))
    with pytest.raises(Exception, match="serializable"):
        await saver.aput_writes(at(1), [("before", 1), ("function", lambda: None)], "task")
    assert await numbers(saver, at()) == [1]
    assert await pending(saver, at()) == []
    await put(saver, 3, {"kept": LONG}, after=at(1))
    assert await numbers(saver, at()) == [3, 1]


async def test_nothing_is_stored_as_a_pickle(saver, database):
    await put(saver, 1, {"point": Point(1), "long": LONG, "path": Path("a"), "bytes": b"b", "set": {1}})
    await saver.aput_writes(at(1), [("channel", Point(1)), (ERROR, ValueError("it failed"))], "task")
    with database.engine.connect() as connection:
        kinds = {
            kind
            for table in ("checkpoint_blobs", "checkpoint_writes")
            for (kind,) in connection.execute(text(f"SELECT DISTINCT type FROM {table}"))
        }
    assert kinds <= {"msgpack", "bytes", "bytearray", "null", "json", "empty"}


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        0,
        False,
        [],
        {},
        float("inf"),
        b"\x00\xff" * 1000,
        bytearray(b"bytes"),
        "\x00 NUL, \U0001f600 and é",
        "\x00" * 200,
        {1: "whole", None: "none", "nested": {"deep": [None, {"a": 1}]}},
        {1, 2},
        datetime(2026, 1, 1, 12, 30, tzinfo=UTC),
        HumanMessage("hello", id="1"),
        [HumanMessage(LONG, id="1")],
    ],
    ids=lambda value: f"{type(value).__name__} {value!r:.20}".replace("\x00", "0"),
)
async def test_a_value_comes_back_as_it_was_and_of_its_own_kind(saver, value):
    await put(saver, 1, {"channel": value})
    await saver.aput_writes(at(1), [("channel", value)], "task")
    found = await read(saver, at())
    assert found.checkpoint["channel_values"] == {"channel": value}
    assert type(found.checkpoint["channel_values"]["channel"]) is type(value)
    assert found.pending_writes == [("task", "channel", value)]


async def test_what_one_reader_changes_another_does_not_see(saver):
    given = {"short": [1], "long": [LONG], "dictionary": {"a": 1}}
    await put(saver, 1, given)
    given["short"].append("changed after it was put")
    found = await values(saver, at())
    for value in (found["short"], found["long"]):
        value.append("changed after it was read")
    found["dictionary"]["b"] = "changed after it was read"
    assert await values(saver, at()) == {"short": [1], "long": [LONG], "dictionary": {"a": 1}}


async def test_of_one_checkpoint_put_twice_the_later_is_kept(saver):
    await put(saver, 1, {"long": LONG, "short": "earlier"}, note="earlier", versions={"long": 1, "short": 1})
    await put(saver, 1, {"long": LONG * 2, "short": "later"}, note="later", versions={"long": 2, "short": 2})
    found = await read(saver, at(1))
    assert found.checkpoint["channel_values"] == {"long": LONG * 2, "short": "later"}
    assert found.metadata["note"] == "later"
    assert await numbers(saver, at()) == [1]


async def test_a_channel_that_has_not_changed_is_not_stored_again(saver, database):
    await put(saver, 0, {"long": LONG, "step": 0}, versions={"long": 1, "step": 1})
    for number in range(1, 20):
        versions = {"long": 1, "step": number + 1}
        new = {"step": number + 1}
        await put(saver, number, {"long": LONG, "step": number}, after=at(number - 1), versions=versions, new=new)
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM checkpoint_blobs WHERE channel = 'long'")).scalar() == 1
        states = connection.execute(text("SELECT max(length(state)) FROM checkpoints")).scalar()
    assert states < len(LONG) / 2
    assert [await values(saver, at(number)) for number in (0, 10, 19)] == [
        {"long": LONG, "step": number} for number in (0, 10, 19)
    ]


async def test_a_channel_that_was_cleared_is_gone_from_there_on(saver):
    await put(saver, 1, {"long": LONG, "short": "s"})
    await put(saver, 2, {"short": "s"}, after=at(1), versions={"long": 3, "short": 2}, new={"long": 3})
    assert await values(saver, at(2)) == {"short": "s"}
    assert await values(saver, at(1)) == {"long": LONG, "short": "s"}


# threads, namespaces and savers


@SHARED
async def test_two_savers_on_one_database_see_what_the_other_stores(saver, database_url):
    ledger = SqlLedger(Database.open(database_url, migrate=True))
    other = ledger.checkpoints
    await put(saver, 1, {"long": LONG})
    assert await values(other, at()) == {"long": LONG}
    await other.aput_writes(at(1), [("channel", "the other's")], "task")
    await put(other, 2, {"long": LONG * 2}, after=at(1))
    assert await pending(saver, at(1)) == [("task", "channel", "the other's")]
    assert await values(saver, at()) == {"long": LONG * 2}
    await other.adelete_thread("thread")
    assert await saver.aget_tuple(at()) is None
    await put(saver, 3)
    assert await numbers(other, at()) == [3]
    await ledger.close()
    assert await numbers(saver, at()) == [3]


@SHARED
async def test_two_savers_on_one_database_may_store_at_once(saver, database_url):
    ledger = SqlLedger(Database.open(database_url, migrate=True))
    every = range(1, 41)
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(put((saver, ledger.checkpoints)[number % 2], number, {"long": LONG}) for number in every)
        )
    assert sorted(await numbers(saver, at())) == sorted(await numbers(ledger.checkpoints, at())) == [*every]
    await ledger.close()


async def test_a_namespace_is_apart_from_the_root_and_from_other_namespaces(saver):
    for namespace in ("", "child:1", "child:10"):
        config = at(namespace=namespace)
        await put(saver, 1, {"long": LONG + namespace, "short": namespace}, after=config)
        await saver.aput_writes(at(1, namespace=namespace), [("channel", namespace)], "task")
    await put(saver, 2, {"short": "later"}, after=at(1, namespace="child:1"))
    assert await values(saver, at()) == {"long": LONG, "short": ""}
    assert await values(saver, at(namespace="child:1")) == {"short": "later"}
    assert await values(saver, at(namespace="child:10")) == {"long": LONG + "child:10", "short": "child:10"}
    assert await pending(saver, at(1)) == [("task", "channel", "")]
    assert await pending(saver, at(namespace="child:1")) == []
    assert await numbers(saver, at()) == [1]
    assert await numbers(saver, at(namespace="child:1")) == [2, 1]
    assert len(await numbers(saver, {"configurable": {"thread_id": "thread"}})) == 4


async def test_a_thread_is_apart_from_those_whose_names_begin_alike(saver):
    for thread in ("a", "ab", "a%", "a_", "A"):
        await put(saver, 1, {"thread": thread}, after=at(thread=thread))
    await saver.adelete_thread("a%")
    await saver.adelete_thread("a_")
    assert [(await values(saver, at(thread=thread)))["thread"] for thread in ("a", "ab", "A")] == ["a", "ab", "A"]
    assert await numbers(saver, None) == [1, 1, 1]


async def test_a_number_names_the_same_thread_as_its_digits(saver):
    await put(saver, 1, after=at(thread=1))
    assert await numbers(saver, at(thread="1")) == [1]


async def test_the_history_of_a_delta_channel_is_the_one_of_langgraphs_own_walk(saver):
    await put(saver, 1, {"messages": [LONG], "other": "o"})
    for number in range(2, 6):
        await saver.aput_writes(at(number - 1), [("messages", f"b of {number}"), ("other", 1)], "b", "~2")
        await saver.aput_writes(at(number - 1), [("messages", f"a of {number}")], "a", "~3")
        await put(saver, number, {"other": "o"}, after=at(number - 1), versions={"messages": number, "other": number})
    await saver.aput_writes(at(2), [("messages", "of a fork")], "fork", "~9")
    await put(saver, 6, after=at(2))
    for config in (at(), at(1), at(5), at(6), at(thread="nobody")):
        asked = {"config": config, "channels": ["messages", "other", "unknown"]}
        found = await saver.aget_delta_channel_history(**asked)
        assert found == await BaseCheckpointSaver.aget_delta_channel_history(saver, **asked)
        assert found == await asyncio.to_thread(lambda asked=asked: saver.get_delta_channel_history(**asked))
    history = await saver.aget_delta_channel_history(config=at(4), channels=["messages"])
    written = [value for _, _, value in history["messages"]["writes"]]
    assert written == ["b of 2", "a of 2", "b of 3", "a of 3", "of a fork", "b of 4", "a of 4"]
    assert history["messages"]["seed"] == [LONG]


# what is not stored


async def test_what_a_configuration_carries_under_two_underscores_is_not_stored(saver, database):
    config = at(__token="do-not-store", __object=object())
    await put(saver, 1, {"long": LONG}, after=config)
    await saver.aput_writes(at(1, __token="do-not-store"), [("channel", 1)], "task")
    assert not [key for key in (await read(saver, at())).metadata if key.startswith("__")]
    assert "do-not-store" not in everything_in(database)


@pytest.mark.parametrize("name", ["api_key", "openai_api_key", "password", "token", "authorization"])
async def test_a_secret_among_the_configurable_is_not_stored(saver, database, name):
    stored = await put(saver, 1, {"long": LONG}, after=at(**{name: "do-not-store"}))
    await saver.aput_writes(at(1, **{name: "do-not-store"}), [("channel", 1)], "task")
    found = await read(saver, at())
    assert name not in found.metadata
    assert name not in stored["configurable"]
    assert name not in found.config["configurable"]
    assert "do-not-store" not in everything_in(database)


async def test_the_metadata_of_a_configuration_are_stored(saver):
    config = at() | {"metadata": {"tenant": "acme", "run_id": "r1"}}
    await put(saver, 1, after=config)
    found = (await read(saver, at())).metadata
    assert found["tenant"] == "acme"
    assert await numbers(saver, None, filter={"run_id": "r1"}) == [1]


def everything_in(database: Database) -> str:
    """Give all rows of all tables of checkpoints as one text."""
    with database.engine.connect() as connection:
        return "".join(
            str([bytes(cell) if isinstance(cell, memoryview) else cell for cell in row])
            for table in ("checkpoint_streams", "checkpoints", "checkpoint_blobs", "checkpoint_writes")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        )

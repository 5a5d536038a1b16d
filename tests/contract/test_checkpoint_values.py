"""What a checkpoint holds comes back as it was, under versions that grow, and secrets never get into it."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.types import ERROR
from sqlalchemy import text

from engine.store.database import Database
from tests.checkpoints import LONG, Point, at, numbers, pending, put, read, values


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

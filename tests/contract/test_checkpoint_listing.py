"""Checkpoints are listed newest first, whoever reads, writes or leaves meanwhile, and whatever is asked for."""

import asyncio
import gc

import pytest

from tests.checkpoints import LONG, at, numbers, put, read

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

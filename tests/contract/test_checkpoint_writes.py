"""What tasks wrote is kept with the checkpoint that they began from, in LangGraph's order, on every database."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME, SCHEDULED

from tests.checkpoints import LONG, at, pending, put


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

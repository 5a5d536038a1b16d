"""What savers on one database, clones, threads and namespaces have in common, and what they keep to themselves."""

import asyncio
import gc

from engine.store.database import Database
from engine.store.ledger import SqlLedger
from tests.checkpoints import LONG, Point, at, numbers, pending, put, values
from tests.databases import SHARED


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

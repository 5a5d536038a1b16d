"""Payloads that nothing refers to are deleted while others write, and none that somebody needs, on every database."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import TextClause, delete, insert, text, update

from engine.outbox import Outbox
from engine.payloads import Packer, Shared, pack
from engine.records import RunRecord, RunStatus, WorkerRecord
from engine.store import tables
from engine.store.collection import mark, sweep
from engine.store.database import Database
from engine.store.ended_runs import Scope
from engine.store.ledger import SqlLedger
from engine.store.retention import plan, prune
from engine.store.statements import insert_once
from tests.databases import SHARED
from tests.old_runs import (
    LONG,
    MONTH,
    NOW,
    OLD,
    RECENT,
    WHOLE,
    call,
    names,
    run,
    run_id,
    step,
)


async def test_a_payload_that_is_used_again_between_mark_and_sweep_survives(ledger):
    address, payloads = pack({"passages": [LONG]})
    useless, garbage = pack([LONG, "still of nobody"])
    await ledger.commit([*payloads, *garbage])
    marked = await mark(ledger)
    assert {address, useless} <= marked.unreached
    await ledger.commit([*payloads, run(1, RECENT), step(1, input_payload=address)])
    swept = await sweep(ledger, marked)
    assert swept.rows == len({one.sha256 for one in garbage} - {one.sha256 for one in payloads})
    assert await names(ledger) == {payload.sha256 for payload in payloads}
    assert await ledger.value(address) == {"passages": [LONG]}


async def test_a_new_value_that_refers_to_an_old_payload_keeps_it(ledger):
    packer = Packer()
    _, payloads = packer.pack([LONG])
    address, more = packer.pack({"again": LONG})  # the text is not given twice
    await ledger.commit(payloads)
    marked = await mark(ledger)
    await ledger.commit([*more, run(1, RECENT, input_payload=address)])
    await sweep(ledger, marked)
    assert await ledger.value(address) == {"again": LONG}


async def test_what_a_shared_list_holds_is_kept_as_long_as_one_request_needs_it(ledger):
    said = [{"role": "human", "content": f"{number} " * size} for size in (900, 90, 9) for number in range(20)]
    packer = Packer()
    old, first = packer.pack({"messages": Shared(said[:40])})
    new, second = packer.pack({"messages": Shared(said[20:])})
    await ledger.commit([*first, *second, run(1, RECENT, input_payload=new)])
    swept = await sweep(ledger, await mark(ledger))
    assert swept.rows > 20  # what only the old request held
    assert old not in await names(ledger)
    assert await ledger.value(new) == {"messages": said[20:]}


async def in_progress(ledger: SqlLedger, number: int) -> tuple[RunRecord, Outbox]:
    """Begin a run in this process, which is alive and has given a payload that no row refers to yet."""
    record, outbox = run(number, None, RunStatus.RUNNING), Outbox(run_id(number))
    await ledger.admit(record, outbox, lambda: None)
    me = WorkerRecord(worker_id=ledger.worker_id, host="elsewhere", process_id=1, started_at=NOW, beat_at=NOW)
    beat = datetime.now(UTC) + timedelta(minutes=1)

    def say(connection):
        connection.execute(delete(tables.workers))
        connection.execute(insert(tables.workers).values(**{**_fields(me), "beat_at": beat}))

    await ledger.change(say)
    return record, outbox


def _fields(record) -> dict:
    return {name: getattr(record, name) for name in record.__slots__}


async def test_what_a_run_in_progress_has_given_and_not_yet_named_is_there_when_it_names_it(ledger):
    record, outbox = await in_progress(ledger, 1)
    address = outbox.pack([LONG])
    await ledger.write(outbox)
    first = await prune(ledger, WHOLE)
    assert (first.payloads.rows, first.payloads.waiting, first.payloads.runs_in_progress) == (0, 2, {run_id(1)})
    assert outbox.pack([LONG]) == address  # and is not written a second time
    outbox.add([call(1, response_payload=address)])
    await ledger.write(outbox)
    again = await prune(ledger, WHOLE)
    assert (again.payloads.rows, again.payloads.waiting) == (0, 0)
    assert await ledger.value(address) == [LONG]
    record.status, record.ended_at = RunStatus.SUCCEEDED, OLD
    await ledger.finish(record, outbox)
    await prune(ledger, WHOLE)
    assert await names(ledger) == set()


async def test_what_a_run_in_progress_never_named_goes_when_it_has_ended(ledger):
    record, outbox = await in_progress(ledger, 1)
    outbox.pack([LONG])
    await ledger.write(outbox)
    waiting = (await prune(ledger, MONTH)).payloads.waiting
    assert (await plan(ledger, MONTH))["payloads"].rows == waiting == 2
    record.status, record.ended_at = RunStatus.SUCCEEDED, RECENT
    await ledger.finish(record, outbox)
    assert (await prune(ledger, MONTH)).payloads.rows == waiting
    assert await names(ledger) == set()


async def test_a_run_that_began_later_does_not_hold_up_what_was_set_aside_before(ledger):
    first, outbox = await in_progress(ledger, 1)
    outbox.pack([LONG])
    await ledger.write(outbox)
    await prune(ledger, MONTH)
    await in_progress(ledger, 2)
    first.status, first.ended_at = RunStatus.SUCCEEDED, RECENT
    await ledger.finish(first, outbox)
    assert (await prune(ledger, MONTH)).payloads.rows == 2
    assert await names(ledger) == set()


async def test_a_payload_that_is_written_anew_while_it_is_set_aside_is_there_once(ledger):
    await in_progress(ledger, 1)
    address, payloads = pack([LONG])
    await ledger.commit(payloads)
    await prune(ledger, MONTH)
    await ledger.commit([*payloads, run(2, RECENT, input_payload=address)])
    assert await ledger.value(address) == [LONG]
    await prune(ledger, MONTH)
    assert {name for name in await names(ledger) if not name.startswith("~")} == {one.sha256 for one in payloads}


async def test_a_prune_that_was_cut_off_is_taken_up_by_the_next(ledger):
    address, payloads = pack([LONG])
    await ledger.commit([*payloads, run(1, RECENT, input_payload=address)])
    cut = update(tables.payloads).values(sha256=tables.payloads.c.sha256 + "~0000abcd")
    await ledger.change(lambda connection: connection.execute(cut))
    assert (await prune(ledger, MONTH)).payloads.rows == 0
    assert await ledger.value(address) == [LONG]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_who_has_found_a_payload_there_and_not_yet_committed_is_waited_for(ledger, database_url):
    address, payloads = pack(LONG)
    await ledger.commit(payloads)
    marked = await mark(ledger)
    waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST('payloads' AS regclass)")
    with contextlib.closing(Database.open(database_url)) as other, other.engine.begin() as writing:
        found = insert_once(tables.payloads, "postgresql")
        writing.execute(found, {"sha256": address, "encoding": "identity", "size": 1, "content": b"1"})
        sweeping = asyncio.create_task(sweep(ledger, marked))
        is_waiting = False
        while not (sweeping.done() or is_waiting):
            is_waiting = await asyncio.to_thread(_asked, other, waits)  # the ledger's own reads wait for its writer
        writing.execute(insert(tables.runs), _fields(run(1, RECENT, input_payload=address)))
    assert (await sweeping).rows == 0
    assert await ledger.value(address) == LONG


def _asked(database: Database, question: TextClause) -> int:
    with database.engine.connect() as connection:
        return connection.execute(question).scalar_one()


@SHARED
async def test_runs_of_another_process_lose_nothing_while_somebody_prunes(ledger, database_url):
    other = SqlLedger(Database.open(database_url))
    texts = [f"{number} {LONG}" for number in range(12)]
    kept: list[tuple[str, object]] = []

    async def work(number: int) -> None:
        record, outbox = run(number, None, RunStatus.RUNNING), Outbox(run_id(number))
        record.input_payload = outbox.pack({"question": texts[number % 12]})
        await other.admit(record, outbox, lambda: None)
        await other.write(outbox)
        for part in range(3):
            found = {"passages": texts[part : part + number % 9], "note": f"{number % 5} {part} {LONG}"}
            address = outbox.pack(found)
            await other.write(outbox)  # committed before any row names it
            await asyncio.sleep(0)
            outbox.add([call(number * 10 + part, of=number, response_payload=address)])
            await other.write(outbox)
            if number % 2:
                kept.append((address, found))
        record.status, record.ended_at = RunStatus.SUCCEEDED, RECENT if number % 2 else OLD
        record.output_payload = outbox.pack(texts)
        await other.finish(record, outbox)

    has_pruned = asyncio.Event()

    async def work_all() -> None:
        for start in range(1, 81, 8):
            if start > 40:
                await has_pruned.wait()  # else all may be done within the first
            await asyncio.gather(*(work(number) for number in range(start, start + 8)))

    working = asyncio.create_task(work_all())
    prunes = 0
    while not working.done():
        await prune(ledger, WHOLE)
        prunes += 1
        has_pruned.set()
    await working
    await prune(ledger, WHOLE)
    assert prunes > 1
    for address, expected in kept:
        assert await ledger.value(address) == expected
    assert not [name for name in await names(ledger) if "~" in name]
    assert (await prune(ledger, Scope(NOW, whole_runs=True))).amounts["runs"].rows == 40
    assert await names(ledger) == set()
    await other.close()

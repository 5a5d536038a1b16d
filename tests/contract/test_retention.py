"""What is deleted of old runs, what is kept, and that payloads in use survive whoever prunes, on every database."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from engine.definition.policies import Retry
from engine.errors import InputError, StoreError
from engine.nodes.call_tool import CallTool
from engine.nodes.generate import Generate
from engine.payloads import Packer, pack, unpack
from engine.records import CacheEntryRecord, GuardTimeRecord, OutcomeRecord, RunStatus, VerdictRecord
from engine.store import tables
from engine.store.database import Database
from engine.store.ended_runs import Scope
from engine.store.ledger import SqlLedger
from engine.store.retention import plan, prune, vacuum
from engine.testing import ScriptedModel
from tests.flows import app_for, line
from tests.old_runs import (
    LONG,
    MONTH,
    NOW,
    OLD,
    RECENT,
    WHOLE,
    call,
    names,
    put_checkpoint,
    put_write,
    rows,
    run,
    run_id,
    step,
)


async def test_checkpoints_of_runs_that_ended_long_ago_go_and_the_ledger_stays(ledger):
    address, payloads = pack([LONG])
    await ledger.commit([*payloads, run(1), step(1), call(1, response_payload=address)])
    for namespace in ("", "inner"):
        await put_checkpoint(ledger, 1, namespace=namespace, address=address)
    planned = await plan(ledger, MONTH)
    assert planned["checkpoints"].rows == 4
    assert planned["checkpoints"].bytes > 2 * len(b"stateblob{}")
    assert planned["payloads"].rows == 0
    pruned = await prune(ledger, MONTH)
    assert pruned.amounts == planned
    for table in (tables.checkpoint_streams, tables.checkpoints, tables.checkpoint_blobs, tables.checkpoint_writes):
        assert await rows(ledger, table) == 0
    assert len(await ledger.steps(run_id(1))) == len(await ledger.calls(run_id(1))) == 1
    assert await ledger.value(address) == [LONG]


@pytest.mark.parametrize(
    "kept",
    [
        run(1, RECENT),
        run(1, None, RunStatus.RUNNING),
        run(1, OLD, RunStatus.NEEDS_REVIEW),
        run(1, OLD, RunStatus.WAITING),
    ],
    ids=lambda kept: kept.status,
)
async def test_recent_running_and_waiting_runs_keep_all_that_they_have(ledger, kept):
    in_checkpoint, first = pack([LONG, "in a checkpoint"])
    in_call, second = pack([LONG, "in a call"])
    in_write, third = pack([LONG, "written by a task"])
    await ledger.commit([*first, *second, *third, kept, call(1, request_payload=in_call)])
    await put_checkpoint(ledger, 1, address=in_checkpoint)
    await put_write(ledger, 1, in_write)
    before = await names(ledger)
    assert not any(amount.rows for amount in (await plan(ledger, WHOLE)).values())
    pruned = await prune(ledger, WHOLE)
    assert not any(amount.rows for amount in pruned.amounts.values())
    assert await rows(ledger, tables.checkpoints) == await rows(ledger, tables.checkpoint_writes) == 1
    assert await names(ledger) == before
    assert [await ledger.value(one) for one in (in_checkpoint, in_call, in_write)] == [
        [LONG, "in a checkpoint"],
        [LONG, "in a call"],
        [LONG, "written by a task"],
    ]


async def test_whole_runs_go_with_all_their_rows_when_asked_for(ledger):
    said = VerdictRecord(run_id=run_id(1), guardrail="pii", stage="run_input", action="mask", reason="", created_at=OLD)
    became = OutcomeRecord(run_id=run_id(1), name="answered", source="person", created_at=OLD)
    address, payloads = pack([LONG])
    await ledger.commit([*payloads, run(1, output_payload=address), run(2, RECENT), step(1), step(2, of=2), call(1)])
    took = GuardTimeRecord(run_id=run_id(1), guardrail="pii", duration_ns=1_200, checks=3)
    await ledger.commit([said, took, became])
    await put_checkpoint(ledger, 1)
    planned = await plan(ledger, WHOLE)
    counts = {kind: amount.rows for kind, amount in planned.items()}
    expected = {"checkpoints": 2, "steps": 1, "calls": 1, "verdicts": 1, "guard_times": 1, "outcomes": 1, "runs": 1}
    others = dict.fromkeys(("call_costs", "questions", "events", "scores", "samples", "workers", "cache_entries"), 0)
    assert counts == expected | others | {"payloads": 2}
    assert (await prune(ledger, WHOLE)).amounts == planned
    assert [found.run_id for found in await ledger.runs()] == [run_id(2)]
    assert (await rows(ledger, tables.steps), await rows(ledger, tables.payloads)) == (1, 0)


async def test_many_runs_go_a_few_at_a_time(ledger):
    await ledger.commit([record for number in range(1, 251) for record in (run(number), step(number, of=number))])
    seen = []
    pruned = await prune(ledger, WHOLE, lambda what, done, total: seen.append((what, done)))
    assert (pruned.amounts["runs"].rows, await rows(ledger, tables.steps)) == (250, 0)
    assert [done for what, done in seen if what == "deleting runs"] == [100, 200, 250, 250]


async def test_a_payload_that_two_runs_share_stays_until_both_are_gone(ledger):
    address, payloads = pack({"passages": [LONG]})
    await ledger.commit([*payloads, run(1, input_payload=address), run(2, RECENT, input_payload=address)])
    assert (await prune(ledger, WHOLE)).amounts["payloads"].rows == 0
    assert await ledger.value(address) == {"passages": [LONG]}
    assert (await prune(ledger, Scope(NOW, whole_runs=True))).amounts["payloads"].rows == len(payloads)
    assert await names(ledger) == set()


async def test_a_list_that_grew_keeps_all_that_it_grew_from(ledger):
    packer, notes, kept = Packer(), [f"note {number} {LONG}" for number in range(20)], []
    for number in range(5):
        notes = [*notes, f"one more, {number}"]
        address, payloads = packer.pack(notes)
        kept += payloads
    other, garbage = pack([LONG, "of nobody"])
    await ledger.commit([*kept, *garbage, run(1, RECENT)])
    await put_checkpoint(ledger, 1, address=address)
    assert (await prune(ledger, WHOLE)).amounts["payloads"].rows > 0
    assert await ledger.value(address) == notes
    assert await names(ledger) == {payload.sha256 for payload in kept}
    with pytest.raises(StoreError, match="is not in the database"):
        await ledger.value(other)


async def test_short_values_in_a_column_refer_to_payloads_too(ledger):
    address, payloads = pack(LONG)
    column = f'{{"text":{{"$payload":"{address}"}}}}'
    await ledger.commit([*payloads, run(1, RECENT, output_payload=column)])
    await prune(ledger, WHOLE)
    assert await ledger.value(column) == {"text": LONG}


async def test_rows_of_checkpoints_whose_stream_is_gone_go_and_threads_of_others_stay(ledger):
    await put_checkpoint(ledger, 1)
    blob = {"sid": 999, "channel": "message", "version": 1, "type": "msgpack", "value": b"blob"}
    await ledger.change(lambda connection: connection.execute(insert(tables.checkpoint_blobs), blob))
    assert (await plan(ledger, MONTH))["checkpoints"].rows == 1
    assert (await prune(ledger, MONTH)).amounts["checkpoints"].rows == 1
    assert await rows(ledger, tables.checkpoints) == 1


async def test_a_time_in_another_zone_is_the_same_moment(ledger):
    await ledger.commit([run(1, NOW)])
    zone = NOW.astimezone(tz=None).tzinfo
    for minutes, count in ((1, 1), (-1, 0)):
        moment = (NOW + timedelta(minutes=minutes)).astimezone(zone)
        assert (await plan(ledger, Scope(moment, whole_runs=True)))["runs"].rows == count


FAILS = {"times": 0}


def breaks_down(answer: str) -> str:
    """Break down as often as told."""
    if FAILS["times"] > 0:
        FAILS["times"] -= 1
        raise RuntimeError("the disk is gone")
    return f"good, since {answer}"


def returns_what_cannot_be_kept(question: str) -> Any:
    """Do something, and return what is not JSON."""
    return object()


def asking(database: str, model: ScriptedModel):
    drafts = Generate(model="large", prompt="{question}", into="answer", max_tokens=50)
    then = CallTool(tool=breaks_down, args={"answer": "answer"}, into="ticket", effect="read", retry=Retry(attempts=1))
    return app_for(line(("draft", drafts), ("then", then), output=["ticket"]), database=database, large=model)


@pytest.mark.parametrize("days", [-1, 1], ids=["with its checkpoints", "from its input"])
async def test_a_failed_run_goes_on_after_a_prune_and_pays_nothing_twice(database_url, days):
    FAILS["times"] = 1
    model = ScriptedModel(script=["a draft " * 100])
    Database.open(database_url, migrate=True).close()
    async with asking(database_url, model) as app:
        failed = await app.run("line", {"question": "q " * 400})
        assert failed.status is RunStatus.FAILED
        scope = Scope(app.clock.now() + timedelta(days=days))
        await prune(app.ledger, scope)
        assert (await rows(app.ledger, tables.checkpoints) > 0) is (days < 0)
        result = (await app.resume(failed.run_id)).raise_for_status()
        assert result.output["ticket"].startswith("good, since a draft")
    assert len(model.asked) == 1


async def test_a_run_that_needs_review_keeps_its_checkpoints_however_old_and_goes_on(database_url):
    tool = CallTool(tool=returns_what_cannot_be_kept, args={"question": "question"}, into="ticket", effect="once")
    Database.open(database_url, migrate=True).close()
    async with app_for(line(("act", tool)), database=database_url) as app:
        stopped = await app.run("line", {"question": "q " * 400})
        assert stopped.status is RunStatus.NEEDS_REVIEW
        before = await rows(app.ledger, tables.checkpoints)
        await prune(app.ledger, Scope(app.clock.now() + timedelta(days=1), whole_runs=True))
        assert await rows(app.ledger, tables.checkpoints) == before > 0
        (open_call,) = await app.ledger.calls(stopped.run_id)
        await app.resolve(stopped.run_id, open_call.call_id, done=True, answer="T-1 " * 200)
        await prune(app.ledger, Scope(app.clock.now() + timedelta(days=1), whole_runs=True))
        result = (await app.resume(stopped.run_id)).raise_for_status()
        assert result.output["ticket"] == "T-1 " * 200


async def test_a_vacuum_makes_a_sqlite_file_smaller(ledger):
    if not ledger.database.is_sqlite:
        with pytest.raises(InputError, match="is for SQLite"):
            await vacuum(ledger.database)
        return
    await ledger.commit([payload for number in range(200) for payload in pack([f"{number} {LONG}" * 9])[1]])
    await prune(ledger, MONTH)
    before, after = await vacuum(ledger.database)
    assert after < before


VALUES = st.recursive(
    st.sampled_from([LONG, LONG + "!", "short", 7]),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=8,
)
RUNS = st.lists(st.tuples(st.booleans(), VALUES, VALUES, st.booleans()), max_size=6)


@settings(max_examples=25, deadline=None)
@given(RUNS)
def test_whatever_runs_share_what_is_left_is_whole_and_nothing_is_left_over(some):
    async def check():
        ledger = SqlLedger(Database.open("sqlite:///:memory:", migrate=True))
        kept: list[tuple[str, object]] = []
        needed: set[str] = set()
        for number, (is_old, given_value, other, has_checkpoint) in enumerate(some, 1):
            packer = Packer()
            (one, first), (two, second) = packer.pack(given_value), packer.pack(other)
            at = OLD if is_old else RECENT
            await ledger.commit([*first, *second, run(number, at, input_payload=one)])
            if has_checkpoint:
                await put_checkpoint(ledger, number, address=two)
            if not is_old:
                kept += [(one, given_value)] + ([(two, other)] if has_checkpoint else [])
        planned = await plan(ledger, WHOLE)
        assert (await prune(ledger, WHOLE)).amounts == planned
        for address, expected in kept:
            contents = await ledger.contents(address)
            assert unpack(address, contents.__getitem__) == expected
            needed |= contents.keys()
        assert await names(ledger) == needed
        await ledger.close()

    asyncio.run(check())


async def test_cache_entries_go_when_their_time_is_over_and_take_their_payloads_along(ledger):
    name, payloads = pack([LONG])
    old = CacheEntryRecord(
        cache_key="old",
        workflow="w",
        node_name="n",
        tenant=None,
        update_payload=name,
        saved_nano_usd=1,
        saved_tokens=1,
        made_by_run_id=run_id(1),
        created_at=OLD,
        expires_at=RECENT,
    )
    fresh_name, more = pack([LONG, LONG])
    fresh = replace(old, cache_key="fresh", update_payload=fresh_name, expires_at=NOW + timedelta(days=9999))
    await ledger.commit([*payloads, *more, old, fresh])
    assert (await plan(ledger, MONTH))["cache_entries"].rows == 1
    pruned = await prune(ledger, MONTH)
    assert pruned.amounts["cache_entries"].rows == 1
    assert await ledger.value(fresh_name) == [LONG, LONG]
    assert await ledger.cache_entry("fresh", NOW) == fresh
    assert await ledger.cache_entry("old", NOW) is None

"""What every ledger promises, on every database."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.definition.conversation import Conversation, Turn
from engine.errors import InputError, StoreError
from engine.outbox import Outbox
from engine.payloads import pack, unpack
from engine.records import CallRecord, OutcomeRecord, RunRecord, RunStatus, StepRecord, VerdictRecord, VersionRecord
from engine.reports.cost import cost_by
from engine.store.database import Database
from engine.store.ledger import SqlLedger

NOW = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def run(number: int = 1, **fields) -> RunRecord:
    given = {
        "run_id": f"{number:032x}",
        "workflow": "ask",
        "version": "v1",
        "status": RunStatus.RUNNING,
        "started_at": NOW + timedelta(seconds=number),
    }
    return RunRecord(**(given | fields))


def step(number: int = 1, **fields) -> StepRecord:
    given = {
        "step_id": f"{number:016x}",
        "run_id": run().run_id,
        "seq": number,
        "node_name": "draft",
        "node_kind": "engine:Generate",
        "visit": 1,
        "started_at": NOW,
    }
    return StepRecord(**(given | fields))


def call(number: int = 1, **fields) -> CallRecord:
    given = {
        "call_id": f"{number:016x}",
        "run_id": run().run_id,
        "step_id": step().step_id,
        "node_name": "draft",
        "ordinal": 1,
        "attempt": number,
        "operation_name": "chat",
        "target": "large",
        "started_at": NOW + timedelta(seconds=number),
        "request_hash": "h",
    }
    return CallRecord(**(given | fields))


async def test_what_was_written_is_read_back_as_it_was(ledger):
    first = run(tenant="acme", cost_nano_usd=None, duration_ns=2**40)
    made = call(cost_nano_usd=2**40, retry_after_s=0.5)
    said = VerdictRecord(
        run_id=first.run_id,
        guardrail="pii",
        stage="run_input",
        action="mask",
        reason="é",
        created_at=NOW,
        spans=[{"start": 1, "end": 2, "label": "EMAIL"}],
    )
    outcome = OutcomeRecord(run_id=first.run_id, name="answered", source="person", created_at=NOW, success=True)
    version = VersionRecord(version="v1", workflow="ask", definition="{}", created_at=NOW)
    await ledger.commit([version, version, first, step(), made, said, outcome])
    assert await ledger.run(first.run_id) == first
    assert await ledger.steps(first.run_id) == [step()]
    assert await ledger.calls(first.run_id) == [made]
    assert await ledger.verdicts(first.run_id) == [said]


async def test_what_was_submitted_is_written_before_what_is_committed_later(ledger):
    ledger.submit([run(1)])
    ledger.submit([step(1)])
    await ledger.commit([run(2)])
    assert len(await ledger.runs()) == 2
    assert len(await ledger.steps(run(1).run_id)) == 1


async def test_a_run_is_finished_over_the_row_it_began_with(ledger):
    record, outbox = run(), Outbox(run().run_id)
    await ledger.admit(record, outbox, lambda: None)
    outbox.add([call(1)])
    record.status, record.ended_at, record.steps = RunStatus.SUCCEEDED, NOW, 5
    await ledger.finish(record, outbox)
    assert await ledger.run(record.run_id) == record
    assert len(await ledger.runs()) == len(await ledger.calls(record.run_id)) == 1


async def test_a_payload_is_stored_once_and_long_texts_are_shared(ledger):
    passage = "word " * 400
    one_sha, one = pack({"passages": [{"text": passage}]})
    other_sha, other = pack([passage, {"$payload": "said by a user"}])
    await ledger.commit([*one, *other, *one])
    contents = await ledger.contents(other_sha)
    assert unpack(other_sha, contents.__getitem__) == [passage, {"$payload": "said by a user"}]
    assert unpack(one_sha, (await ledger.contents(one_sha)).__getitem__)["passages"][0]["text"] == passage
    assert (await ledger.payload(one_sha)).sha256 == one_sha
    assert await ledger.payload("nothing") is None


async def test_a_refused_row_fails_alone_and_whoever_waits_hears_of_it(ledger):
    await ledger.commit([run(1)])
    results = await asyncio.gather(
        ledger.commit([run(1)]), ledger.commit([run(2)]), ledger.commit([run(3)]), return_exceptions=True
    )
    assert isinstance(results[0], StoreError)
    assert results[1:] == [None, None]
    assert len(await ledger.runs()) == 3


async def test_a_loss_that_nobody_waited_for_is_told_to_the_next_who_does(ledger):
    await ledger.commit([run(1)])
    ledger.submit([run(1)])
    with pytest.raises(StoreError, match="cannot be used"):
        await ledger.commit()
    await ledger.commit()


async def test_a_text_that_no_column_can_hold_is_cleaned_and_nothing_is_lost(ledger):
    odd = run(1, error_message="a \0 and half a pair \ud800", status=RunStatus.FAILED)
    sha256, payloads = pack({"said": "\0 \ud800"})
    await ledger.commit([odd, step(1), *payloads])
    assert (await ledger.run(odd.run_id)).error_message.startswith("a ")
    assert len(await ledger.steps(odd.run_id)) == 1
    assert unpack(sha256, (await ledger.contents(sha256)).__getitem__) == {"said": "\0 \ud800"}
    await ledger.finish(replace(odd, error_message="\ud800 again"), Outbox(odd.run_id))
    assert (await ledger.run(odd.run_id)).status is RunStatus.FAILED


async def test_many_writers_at_once_lose_nothing(ledger):
    await asyncio.gather(*(ledger.commit([run(number), step(number)]) for number in range(1, 201)))
    assert len(await ledger.runs(limit=500)) == 200


async def test_runs_are_found_by_what_is_asked(ledger):
    failed = run(2, status=RunStatus.FAILED, workflow="other", tenant="acme")
    await ledger.commit([run(1), failed])
    assert [found.run_id for found in await ledger.runs()] == [failed.run_id, run(1).run_id]
    assert await ledger.runs(status="failed") == [failed]
    assert await ledger.runs(workflow="other", tenant="acme") == [failed]
    assert await ledger.runs(since=NOW + timedelta(seconds=1.5)) == [failed]
    assert len(await ledger.runs(limit=1)) == 1


async def test_turns_are_what_had_ended_well_in_the_same_conversation_of_the_same_tenant(ledger):
    said, payloads = pack({"question": "long " * 200, "other": 1})
    talk = {"conversation_id": "c", "status": RunStatus.SUCCEEDED, "ended_at": NOW, "started_at": NOW}
    turn = talk | {"input_payload": said, "output_payload": '{"answer":"short"}'}
    others = [
        {"tenant": "acme"},
        {"workflow": "other"},
        {"conversation_id": "d"},
        {"status": RunStatus.FAILED},
        {"ended_at": NOW + timedelta(seconds=5)},
    ]
    await ledger.commit([*payloads, run(1, **turn), run(2, **turn), run(3, **talk)])
    await ledger.commit([run(number, **(turn | other)) for number, other in enumerate(others, 4)])
    await ledger.commit([step(1, run_id=run(2).run_id, status="ok", node_name="a/b", update_payload='{"x":1}')])
    now = run(20, conversation_id="c", started_at=NOW)
    fields = Conversation(says="question", answers="answer")
    found = await ledger.turns(now, fields, 9, inside="a/b")
    assert found == [
        Turn(run_id=run(1).run_id, says="long " * 200, answers="short"),
        Turn(run_id=run(2).run_id, says="long " * 200, answers="short", wrote={"x": 1}),
        Turn(run_id=run(3).run_id, says=None, answers=None),
    ]
    assert [one.run_id for one in await ledger.turns(now, fields, 1)] == [run(3).run_id]
    assert await ledger.turns(run(20), fields, 9) == []


async def test_an_id_may_be_short_if_it_fits_one_run(ledger):
    await ledger.commit([run(1), run(2)])
    assert (await ledger.run("0002")).run_id == run(2).run_id
    with pytest.raises(InputError, match="several runs have ids that begin or end with '0000'"):
        await ledger.run("0000")
    for nothing in ("", "ffff", "%"):
        with pytest.raises(InputError, match="no run has the id"):
            await ledger.run(nothing)


async def test_costs_are_added_up_by_what_is_asked(ledger):
    known = {"cost_nano_usd": 1_500_000, "usage_input_tokens": 100, "usage_output_tokens": 10, "request_model": "m"}
    rows = [
        run(1, tenant="acme"),
        run(2, workflow="other"),
        call(1, status="failed", cost_nano_usd=0, request_model="m"),
        call(2, **known),
        call(3, run_id=run(2).run_id, **known),
        call(4, run_id=run(2).run_id, request_model="new", cost_nano_usd=None),
    ]
    await ledger.commit(rows)
    by_workflow = {row.dimensions["workflow"]: row for row in await cost_by(ledger, ["workflow"])}
    assert (by_workflow["ask"].calls, by_workflow["ask"].failed, by_workflow["ask"].input_tokens) == (2, 1, 100)
    assert str(by_workflow["ask"].cost_usd) == "0.0015"
    by_model = {row.dimensions["model"]: row for row in await cost_by(ledger, ["model", "day"])}
    assert (by_model["new"].cost_usd, by_model["new"].unpriced) == (None, 1)
    assert by_model["m"].runs == 2
    assert by_model["m"].to_json()["cost_usd"] == "0.003"
    assert await cost_by(ledger, ["tenant"], since=NOW + timedelta(days=1)) == []
    with pytest.raises(InputError, match="--by colour: the dimensions are workflow, version"):
        await cost_by(ledger, ["colour"])


async def test_two_ledgers_over_one_database_see_each_other(ledger, database_url):
    if "memory" in database_url:
        pytest.skip("a database in memory belongs to one ledger")
    other = SqlLedger(Database.open(database_url))
    await other.commit([run(1)])
    await ledger.commit([replace(run(2))])
    assert len(await ledger.runs()) == len(await other.runs()) == 2
    await other.close()


def test_ledgers_serve_one_event_loop_after_another(database_url):
    opened = SqlLedger(Database.open(database_url, migrate=True))
    for number in (1, 2):
        asyncio.run(opened.commit([run(number)]))
    assert len(asyncio.run(opened.runs())) == 2
    asyncio.run(opened.close())

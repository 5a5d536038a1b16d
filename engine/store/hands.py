"""How a run changes hands, ends from outside, and has an unknown action settled: each one transaction."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, delete, select, update

from engine.errors import InputError, RunBusy
from engine.ports import Taken
from engine.records import CallRecord, PayloadRecord, QuestionRecord, RunRecord, RunStatus, StepRecord
from engine.store import tables
from engine.store.control_events import note
from engine.store.lease import Lease, is_alive, lock_run, time_of, touch_run
from engine.store.statements import insert_once, payload_row

_CUT = "the process that ran it ended while this call was in flight"
_OVER = {RunStatus.SUCCEEDED: "has succeeded", RunStatus.BLOCKED: "was blocked by a guardrail"}


def take(
    connection: Connection, run_id: str, lease: Lease, now: datetime, *, force: bool, budget: str | None = None
) -> Taken:
    """Take a run that is not finished, under a new fence; calls that were in flight become unknown.

    Raises:
        InputError: the run has come to its end.
        RunBusy: a living process has it, and `force` was not said.
    """
    row = lock_run(connection, run_id)
    status = RunStatus(row.status)
    if status in _OVER:
        raise InputError(f"the run {run_id} {_OVER[status]}: there is nothing left to resume")
    if status is RunStatus.RUNNING and not force and lease.is_held(connection, row):
        raise RunBusy(f"the run {run_id} is running in another process: wait for it, or `flowledger cancel {run_id}`")
    if row.input_payload is None:
        raise InputError(f"the run {run_id} stopped before its input was accepted: run the workflow anew")
    lease.take(connection, {run_id: row.fence + 1})
    worked = row.duration_ns or 0
    if status is RunStatus.RUNNING:
        worked += _worked_since_claim(connection, row)
    touch_run(
        connection,
        run_id,
        **begun_by(lease.worker_id, now),
        fence=row.fence + 1,
        duration_ns=worked,
        budget_payload=budget or row.budget_payload,
    )
    entry = tables.queue_entries
    held = update(entry).where(entry.c.run_id == run_id).values(available_at=None, taken_at=time_of(connection))
    is_queued = connection.execute(held).rowcount > 0
    return history_of(connection, records_of(RunRecord, [lock_run(connection, run_id)])[0], is_queued=is_queued)


def begun_by(worker_id: str, now: datetime) -> dict[str, Any]:
    """Give what the row of a run says that a process has just taken; how it stood before is over."""
    over = dict.fromkeys(("ended_at", "cancel_requested_at", "error_type", "error_message", "error_node"))
    return {"status": RunStatus.RUNNING, "worker_id": worker_id, "claimed_at": now, **over}


def history_of(connection: Connection, record: RunRecord, *, is_queued: bool) -> Taken:
    """Give a run that was just taken with what it has done so far."""
    run_id = record.run_id
    _cut_calls(connection, run_id)
    steps = select(tables.steps).where(tables.steps.c.run_id == run_id).order_by(tables.steps.c.seq)
    calls = select(tables.calls).where(tables.calls.c.run_id == run_id).order_by(tables.calls.c.started_at)
    questions = select(tables.questions).where(tables.questions.c.run_id == run_id)
    return Taken(
        record,
        records_of(StepRecord, connection.execute(steps).all()),
        records_of(CallRecord, connection.execute(calls).all()),
        records_of(QuestionRecord, connection.execute(questions).all()),
        is_queued=is_queued,
        has_begun=True,
    )


def cancel(connection: Connection, run_id: str, now: datetime, by: str | None = None) -> bool:
    """Ask a run's process to end it, or end it here where that process is gone; say whether it has ended.

    Raises:
        InputError: the run has ended already.
    """
    row = lock_run(connection, run_id)
    if row.status not in (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING):
        raise InputError(f"the run {run_id} is not running: it is {row.status}")
    if row.status == RunStatus.RUNNING and is_alive(connection, row.worker_id):
        touch_run(connection, run_id, cancel_requested_at=now)
        note(connection, "cancel run", run_id, by, before={"status": row.status})
        return False
    worked = row.duration_ns or 0
    if row.status == RunStatus.RUNNING:
        worked += _worked_since_claim(connection, row)
    _cut_calls(connection, run_id)
    touch_run(
        connection,
        run_id,
        status=RunStatus.CANCELLED,
        fence=row.fence + 1,
        ended_at=now,
        duration_ns=worked,
        cancel_requested_at=now,
        error_type="Cancelled",
        error_message="the run was cancelled",
    )
    connection.execute(delete(tables.queue_entries).where(tables.queue_entries.c.run_id == run_id))
    note(connection, "cancel run", run_id, by, before={"status": row.status}, after={"status": RunStatus.CANCELLED})
    return True


def resolve(connection: Connection, run_id: str, call_id: str, answer: Sequence[PayloadRecord] | None) -> CallRecord:
    """Settle an action whose outcome is unknown: it was done and answered so, or was not done and may be tried again.

    Raises:
        InputError: the run has no such call, its outcome is known, or the run has come to its end.
        RunBusy: the run is running.
    """
    row = lock_run(connection, run_id)
    if row.status == RunStatus.RUNNING and is_alive(connection, row.worker_id):
        raise RunBusy(f"the run {run_id} is running: an action of it can be settled when it has stopped")
    if row.status in _OVER:
        raise InputError(f"the run {run_id} {_OVER[RunStatus(row.status)]}: what its actions answered stands")
    _cut_calls(connection, run_id)
    calls = _may_be_said(connection, run_id)
    unknown = [call for call in calls if call.status == "unknown"]
    found = _named(unknown, call_id) or _named(calls, call_id)
    if len(found) != 1:
        open_ones = ", ".join(f"{call.call_id} ({call.tool_name})" for call in unknown) or "none"
        what = "several fit" if found else "none is"
        raise InputError(f"{what} {call_id!r}: the calls of {run_id} whose outcome is unknown are {open_ones}")
    table = tables.calls
    call = records_of(CallRecord, found)[0]
    settled: dict[str, Any] = {"status": "failed", "resolution": "retry"}
    if answer is not None:
        rows = [payload_row(payload) for payload in answer]
        connection.execute(insert_once(tables.payloads, connection.dialect.name), rows)
        settled = {"status": "ok", "resolution": "done", "response_payload": answer[-1].sha256}
        settled |= {"error_type": None, "error_message": None}
    connection.execute(update(table).where(table.c.call_id == call.call_id).values(**settled))
    return call


def answer(
    connection: Connection,
    run_id: str,
    question_id: str,
    payloads: Sequence[PayloadRecord],
    values: dict[str, Any],
) -> QuestionRecord:
    """Write an answer down, once.

    Raises:
        InputError: the question has been answered, or the run waits for nothing.
    """
    row = lock_run(connection, run_id)
    table = tables.questions
    mine = (table.c.run_id == run_id) & (table.c.question_id == question_id)
    asked = records_of(QuestionRecord, connection.execute(select(table).where(mine)).all())[0]
    if row.status != RunStatus.WAITING:
        raise InputError(f"the run {run_id} waits for nobody: it is {row.status}")
    if asked.status != "open":
        raise InputError(f"the question {question_id} of {run_id} was {asked.status} before: it stands")
    if payloads:
        rows = [payload_row(payload) for payload in payloads]
        connection.execute(insert_once(tables.payloads, connection.dialect.name), rows)
    connection.execute(update(table).where(mine).values(**values))
    _queue_again(connection, run_id)
    return records_of(QuestionRecord, connection.execute(select(table).where(mine)).all())[0]


def _queue_again(connection: Connection, run_id: str) -> None:
    """Let a worker take a run that waits, if it came through a queue."""
    entry = tables.queue_entries
    connection.execute(update(entry).where(entry.c.run_id == run_id).values(available_at=time_of(connection)))


def _may_be_said(connection: Connection, run_id: str) -> list[Any]:
    """Give the actions that people may speak of: unknown ones, and those whose word was not yet acted upon."""
    calls, steps = tables.calls, tables.steps
    mine = select(calls).where(calls.c.run_id == run_id, calls.c.tool_effect.is_not(None))
    made = connection.execute(mine).all()
    over = select(steps.c.step_id).where(steps.c.run_id == run_id, steps.c.status == "ok")
    used = set(connection.execute(over).scalars())
    tried = {(call.step_id, call.ordinal): call.attempt for call in sorted(made, key=lambda call: call.attempt)}
    return [
        call
        for call in made
        if call.status == "unknown"
        or (
            call.resolution in ("done", "retry")
            and call.step_id not in used
            and call.attempt == tried[call.step_id, call.ordinal]
        )
    ]


def _named(calls: Sequence[Any], name: str) -> list[Any]:
    """Give the calls whose ids begin or end with a name."""
    return [call for call in calls if name and (call.call_id.startswith(name) or call.call_id.endswith(name))]


def records_of(record: type[Any], rows: Sequence[Any]) -> list[Any]:
    """Turn rows of one query into records of a class."""
    if not rows:
        return []
    names = [one.name for one in fields(record)]
    values_of = itemgetter(*map(rows[0]._fields.index, names))  # by place, which is three times as fast as by name
    found = [record(**dict(zip(names, values_of(row), strict=True))) for row in rows]
    for one in found:
        if isinstance(one, RunRecord):
            one.status = RunStatus(one.status)
    return found


def _cut_calls(connection: Connection, run_id: str) -> None:
    """Flag what was in flight when a process ended; its charge stays what was reserved for it."""
    table = tables.calls
    cut = update(table).where(table.c.run_id == run_id, table.c.status == "in_flight")
    connection.execute(cut.values(status="unknown", error_type="ProcessEnded", error_message=_CUT))


def _worked_since_claim(connection: Connection, row: Any) -> int:
    """Give the nanoseconds from when a process took a run to the last thing it wrote of it."""
    if row.claimed_at is None:
        return 0
    last: datetime = row.claimed_at
    for table in (tables.steps, tables.calls):
        query = select(table.c.started_at, table.c.duration_ns).where(table.c.run_id == row.run_id)
        for started_at, duration_ns in connection.execute(query):
            last = max(last, started_at + timedelta(microseconds=(duration_ns or 0) / 1000))
    return int((last - row.claimed_at).total_seconds() * 1e9)

"""Records as events: what is heard while it happens and what is read off the ledger later are made by the same code."""

from datetime import datetime, timedelta
from typing import Any

from engine.records import CallRecord, EventRecord, QuestionRecord, RunRecord, StepRecord
from engine.runtime.events import (
    CallFinished,
    CallStarted,
    CustomEvent,
    QuestionAsked,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from engine.runtime.result import RunResult

PER_HAND = 1_000_000_000
"""Each time a run changes hands its numbers go on at the next billion: what a dead process said is never meant anew."""


def before(hand: int) -> int:
    """Give the number before the first of the so-manieth process, by its fence, that had a run."""
    return (hand - 1) * PER_HAND


def hand_of(seq: int) -> int:
    """Say in which hands a run was when an event got its number."""
    return (seq - 1) // PER_HAND + 1


def run_started(row: RunRecord, seq: int, at: datetime) -> RunStarted:
    """Give the event of a run that a process has begun or gone on with."""
    return RunStarted(run_id=row.run_id, seq=seq, at=at, workflow=row.workflow, resumed=hand_of(seq) > 1)


def run_finished(row: RunRecord, seq: int, result: RunResult) -> RunFinished:
    """Give the event of a run that ended, or that waits."""
    return RunFinished(run_id=row.run_id, seq=seq, at=row.ended_at or row.started_at, result=result)


def step_started(row: StepRecord) -> StepStarted:
    """Give the event of a step that begins."""
    return StepStarted(seq=row.seq, at=row.started_at, **_step(row))


def step_finished(row: StepRecord) -> StepFinished:
    """Give the event of a step that ended."""
    return StepFinished(seq=row.end_seq or 0, at=_ended(row), status=row.status, **_step(row))


def call_started(row: CallRecord) -> CallStarted:
    """Give the event of an attempt that is made."""
    return CallStarted(seq=row.seq or 0, at=row.started_at, **_call(row))


def call_finished(row: CallRecord) -> CallFinished:
    """Give the event of an attempt that ended."""
    return CallFinished(
        seq=row.end_seq or 0,
        at=_ended(row),
        status=row.status,
        input_tokens=row.usage_input_tokens,
        output_tokens=row.usage_output_tokens,
        cost_nano_usd=row.cost_nano_usd,
        error=row.error_type,
        **_call(row),
    )


def custom_event(row: EventRecord, data: Any) -> CustomEvent:
    """Give what a node told, with its data as they were."""
    return CustomEvent(
        run_id=row.run_id,
        seq=row.seq,
        at=row.emitted_at,
        step_id=row.step_id,
        node=row.node_name,
        name=row.name,
        data=data,
    )


def question_asked(row: QuestionRecord) -> QuestionAsked:
    """Give the event of a question to a person."""
    return QuestionAsked(
        run_id=row.run_id,
        seq=row.seq or 0,
        at=row.asked_at,
        step_id=row.step_id,
        node=row.node_name,
        question_id=row.question_id,
        kind=row.kind,
        text=row.text,
    )


def _step(row: StepRecord) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        "step_id": row.step_id,
        "node": row.node_name,
        "visit": row.visit,
        "attempt": row.attempt,
        "parent": row.parent_step_id,
        "item": row.item,
    }


def _call(row: CallRecord) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        "step_id": row.step_id,
        "node": row.node_name,
        "call_id": row.call_id,
        "operation": row.operation_name,
        "role": row.target,
        "name": row.tool_name or row.request_model or row.target,
        "attempt": row.attempt,
    }


def _ended(row: StepRecord | CallRecord) -> datetime:
    return row.started_at + timedelta(microseconds=(row.duration_ns or 0) // 1000)

"""Effect: an action that may happen once, and of which nobody knows whether it has, is never made again in silence.

Its probe is asked, if it has one. Without an answer the run stops, and a person says what happened.
"""

import asyncio
import inspect
from typing import Any

from engine.errors import CallError, EffectUnknown
from engine.records import CallRecord
from engine.runtime.answer import Answer
from engine.runtime.classify import scrub
from engine.runtime.run import Call, CallNext


async def effect(call: Call, call_next: CallNext) -> Answer:
    """Make the attempt; settle what an earlier process, or this attempt, has left open.

    Raises:
        EffectUnknown: the action may have been done, and nothing can tell.
    """
    if call.details.get("effect") != "once":
        return await call_next(call)
    for open_row in call.run.journal.unknown(call.step.record.step_id, call.request_hash):
        answer = await _settled(call, open_row)
        if answer is not None:
            return answer
    try:
        return await call_next(call)
    except CallError as error:
        if not error.ambiguous or call.record is None:
            raise
        answer = await _settled(call, call.record)
        if answer is None:
            raise
        return answer


async def _settled(call: Call, row: CallRecord) -> Answer | None:
    """Give the answer of an action that was done; None if it was not done."""
    row.status = "unknown"
    probe = call.details.get("probe")
    if probe is None:
        await _note(call, row)
        cause = f" ({row.error_message})" if row.error_message else ""
        raise EffectUnknown(_asks_for_a_person(call, row, f"it has no probe that could tell{cause}"))
    try:
        async with asyncio.timeout(call.step.node.call_seconds):
            found = await _ask(probe, call.details["idempotency_key"])
        answer = None if found is None else call.target.restore(call, found)
    except call.run.control_flow:
        raise
    except Exception as error:
        await _note(call, row)
        why = f"its probe failed: {type(error).__name__}: {scrub(str(error))}"
        raise EffectUnknown(_asks_for_a_person(call, row, why)) from error
    row.resolution = "probe"
    row.status = "failed" if found is None else "ok"
    if answer is not None:
        row.response_payload = call.run.keep(answer.response)
        row.error_type = row.error_message = None
    await _note(call, row)
    return answer


async def _ask(probe: Any, key: str) -> Any:
    if inspect.iscoroutinefunction(probe):
        return await probe(key)
    return await asyncio.to_thread(probe, key)


async def _note(call: Call, row: CallRecord) -> None:
    await call.run.commit(row)


def _asks_for_a_person(call: Call, row: CallRecord, why: str) -> str:
    run_id = row.run_id
    return (
        f"nobody knows whether {call.target.name} has done its work at {call.step.name!r}, and {why}: look, then say "
        f"`flowledger resolve {run_id} {row.call_id} --done JSON` or `--retry`, and `flowledger resume {run_id}`"
    )

"""Meter: every attempt becomes a row with its time, tokens, cost and error."""

import asyncio

from engine.crash_points import reach
from engine.errors import BudgetExceeded, CallError
from engine.eval_records import JUDGE
from engine.records import CallRecord
from engine.runtime.answer import Answer
from engine.runtime.classify import scrub
from engine.runtime.history import MODEL_CALL
from engine.runtime.run import Call, CallNext
from engine.runtime.views import call_finished, call_started
from engine.usage import Usage


async def meter(call: Call, call_next: CallNext) -> Answer:
    """Write the attempt down, and say what it is charged.

    An attempt that spends or acts is durable before it is sent, at what it may cost at the most, and its answer is
    durable before it is used; others are written with their step. A charge is the known cost; the reservation where
    the provider may bill and did not say what; else nothing.
    """
    run = call.run
    row = call.record = _begin(call)
    matters = call.operation == MODEL_CALL or row.tool_effect in ("idempotent", "once")
    run.tell(call_started, row)
    began = run.clock.monotonic_ns()
    if matters:
        await _write_intent(call, row)
    try:
        reach("before send", call)
        answer = await call_next(call)
        reach("after answer", call, answer)
        row.status = "ok"
        _succeed(call, row, answer)
    except CallError as error:
        row.status, row.error_type, row.error_message = "failed", type(error).__name__, scrub(str(error))
        row.retry_after_s = error.retry_after
        _charge(call, row, usage=None, billed=error.billed)
        raise
    except BaseException as error:
        cut = "unknown" if row.tool_effect == "once" else "cancelled"
        row.status = cut if isinstance(error, asyncio.CancelledError | BudgetExceeded) else "interrupted"
        _charge(call, row, usage=None, billed=True)
        raise
    finally:
        played = call.recorded.duration_ns if call.recorded is not None else None
        row.duration_ns = played or run.clock.monotonic_ns() - began
        _end(call, row)
    if matters:
        await run.ledger.write(run.outbox)
    return answer


async def _write_intent(call: Call, row: CallRecord) -> None:
    """Make the attempt durable before it is sent; if nobody ever hears of its end, it stays charged so."""
    row.status = "in_flight"
    row.charged_tokens, row.charged_nano_usd = call.reservation.tokens, call.reservation.nano_usd
    if call.operation != MODEL_CALL:
        row.cost_nano_usd, row.cost_source = 0, "not_billed"
    try:
        await call.run.commit(row)
    except BaseException:
        call.record = None  # it was not sent
        row.status, row.charged_tokens, row.charged_nano_usd = "cancelled", 0, 0
        row.cost_nano_usd, row.cost_source = 0, "not_billed" if call.recorded is None else "recorded"
        _end(call, row)
        raise


def _end(call: Call, row: CallRecord) -> None:
    run = call.run
    row.end_seq = run.next_seq()
    run.spend(row)
    run.write((row,))
    run.tell(call_finished, row)


def _begin(call: Call) -> CallRecord:
    step = call.step
    if call.request_sha is None:
        call.request_sha = call.run.keep(call.request)
    row = CallRecord(
        call_id=call.run.clock.new_id(),
        run_id=step.record.run_id,
        step_id=step.record.step_id,
        node_name=step.name,
        ordinal=call.ordinal,
        attempt=call.attempt,
        operation_name=call.operation,
        target=call.role,
        started_at=call.run.clock.now(),
        request_hash=call.request_hash,
        request_payload=call.request_sha,
        step_started_at=step.began_at,
        diverged_from=call.diverged_from,
        seq=call.run.next_seq(),
        purpose=call.details.get("purpose") or _purpose(call),
        waited_ns=call.waited_ns or None,
    )
    call.target.describe(call, row)
    return row


def _purpose(call: Call) -> str:
    if call.step.feedback:
        return "reask"
    return "evaluation" if call.run.record.origin == JUDGE else call.step.node.purpose


def _succeed(call: Call, row: CallRecord, answer: Answer) -> None:
    row.response_payload = call.run.keep(answer.response)
    row.response_model, row.response_id = answer.response_model, answer.response_id
    row.finish_reason, row.retriever_version = answer.finish_reason, answer.retriever_version
    _charge(call, row, usage=answer.usage, billed=True)


def _charge(call: Call, row: CallRecord, *, usage: Usage | None, billed: bool) -> None:
    """Set tokens, cost and charge; what a provider may bill and does not tell counts as the most that it can be."""
    row.charged_tokens = 0
    if usage is not None:
        row.usage_input_tokens, row.usage_output_tokens = usage.input_tokens, usage.output_tokens
        row.usage_cache_read_input_tokens = usage.cache_read_tokens
        row.usage_cache_write_input_tokens = usage.cache_write_tokens
        row.usage_reasoning_output_tokens = usage.reasoning_tokens
        row.cost_nano_usd, row.cost_source, row.price_catalogue_id = call.target.cost(call, usage)
        row.charged_tokens = usage.total_tokens
    elif not billed or call.operation != MODEL_CALL:
        row.cost_nano_usd, row.cost_source = 0, "not_billed"
    else:
        row.cost_source, row.charged_tokens = "unknown", call.reservation.tokens
    unknown = row.cost_nano_usd is None
    row.charged_nano_usd = call.reservation.nano_usd if unknown else row.cost_nano_usd or 0
    if call.recorded is not None:
        row.cost_nano_usd, row.cost_source = 0, "recorded"  # it was paid in the recorded run
        row.charged_tokens, row.charged_nano_usd = call.recorded.charged_tokens, call.recorded.charged_nano_usd

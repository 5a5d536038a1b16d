"""From tape: in a replay an attempt is answered as it was in the recorded run, refusals and failures included."""

from typing import cast

from engine.errors import BreakerOpen, BudgetExceeded, Diverged, NotAdmitted, RunError, StepTimeout
from engine.records import CallRecord
from engine.runtime.answer import Answer
from engine.runtime.compose import compose
from engine.runtime.first_difference import first_difference
from engine.runtime.middleware.budget import needed_for
from engine.runtime.middleware.meter import meter
from engine.runtime.run import Call, CallNext
from engine.runtime.tape import Tape, error_of
from engine.usage import Amount

_OF_TARGET = ("provider_name", "request_model", "tool_name")
_ENDED = {kind.__name__: kind for kind in (BreakerOpen, NotAdmitted, StepTimeout, BudgetExceeded)}


async def from_tape(call: Call, call_next: CallNext) -> Answer:
    """Find the attempt on the tape; what is not there ends the replay, or is made.

    Raises:
        Diverged: the request is not on the tape, and the replay may not make it.
    """
    tape = call.run.tape
    if tape is None:
        return await call_next(call)
    call.recorded = None
    row = tape.next(call.step.key, call.request_hash)
    where = _target_of(call, row)
    if row is not None and where is not None and where > call.target_index:
        raise BreakerOpen(f"{call.target.name} was left alone in the recorded run, and is here")
    if row is None or where is None:
        _as_it_ended(call, tape)
        _refuse_what_does_not_fit(call)
        if (stub := await _stub(call, tape)) is not None:
            return await _count(call, stub)
        await _allow(call, tape, row)
        return await call_next(call)
    call.recorded = tape.take(call.step.key, call.request_hash)
    if row.status in ("cancelled", "interrupted"):
        _as_it_ended(call, tape)
    return await _count(call, row)


async def _count(call: Call, row: CallRecord) -> Answer:
    """Count an attempt as the recorded one was, and write it down; whether it fitted the budget was decided then."""
    call.record, call.max_tokens = None, row.request_max_tokens or call.asked_tokens
    call.reservation = Amount(tokens=row.charged_tokens, nano_usd=row.charged_nano_usd, calls=1)
    try:
        return await _metered(call)
    finally:
        call.step.account.settle(Amount(), call.reservation)
        call.step.spent += call.reservation


async def _answer(call: Call) -> Answer:
    """Give the answer of an attempt that was recorded.

    Raises:
        RunError: what it failed with.
    """
    row = cast("CallRecord", call.recorded)
    if row.status != "ok" or row.response_payload is None:
        raise error_of(row)
    return call.target.restore(call, await call.run.ledger.value(row.response_payload))


_metered: CallNext = compose((meter,), _answer)


def _target_of(call: Call, row: CallRecord | None) -> int | None:
    """Say which of the targets of a call a recorded attempt went to; None if it is another by now."""
    if row is None:
        return None
    for place in range(len(call.targets)):
        described = _described(call, place)
        if all(getattr(described, name) == getattr(row, name) for name in _OF_TARGET):
            return place
    return None


def _as_it_ended(call: Call, tape: Tape) -> None:
    """Have a step end as the recorded one did where no attempt of it tells: nobody was asked, or time was over."""
    step = tape.step(call.step.key)
    for kind, message in (
        (step.error_type if step else None, step.error_message if step else None),
        (tape.record.error_type, tape.record.error_message),
    ):
        if kind in _ENDED and tape.mode == "recorded":
            ended: type[RunError] = _ENDED[kind or ""]
            raise ended(message or "")


def _refuse_what_does_not_fit(call: Call) -> None:
    """Refuse what the budget has no room for: what was refused before it was sent left no attempt on the tape.

    Raises:
        BudgetExceeded: the attempt could pass a limit.
    """
    account = call.step.account
    call.reservation = call.target.bound(call, account)
    needed = needed_for(call)
    account.reserve(needed)
    account.release(needed)


async def _stub(call: Call, tape: Tape) -> CallRecord | None:
    """Give what stands for an action that a replay does not take: an answer that its tool has given before."""
    if not _acts(call, tape) or tape.mode == "recorded" or tape.stub is None:
        return None
    stub = _described(call, call.target_index)
    stub.response_payload = await tape.stub(stub.tool_name or "")
    if stub.response_payload is None:
        return None
    call.details["purpose"], call.recorded = "stub", stub
    return stub


def _acts(call: Call, tape: Tape) -> bool:
    return call.details.get("effect") == "once" and not tape.live_effects


def _described(call: Call, place: int) -> CallRecord:
    """Give what an attempt at one of the targets of a call would say of it."""
    described = CallRecord(
        call_id="",
        run_id="",
        step_id="",
        node_name="",
        ordinal=0,
        attempt=0,
        operation_name=call.operation,
        target=call.role,
        started_at=call.run.clock.now(),
        request_hash="",
    )
    call.targets[place].describe(call, described)
    return described


async def _allow(call: Call, tape: Tape, row: CallRecord | None) -> None:
    """See whether a request that is not on the tape may be made."""
    if tape.mode != "recorded" and not _acts(call, tape):
        return
    step = call.step
    place = f"{step.name!r} (visit {step.record.visit}, request {call.ordinal})"
    if tape.mode != "recorded":
        raise Diverged(
            f"the replay would act at {place}: {call.target.name} acts once; --live-effects lets it, "
            "and `--set stub.TOOL=JSON` says what to take for its answer"
        )
    before = row or tape.other(step.key, call.ordinal)
    if before is None or before.request_payload is None:
        raise Diverged(f"the replay asks {call.target.name} at {place}, where the recorded run asked nobody")
    found = first_difference(await call.run.ledger.value(before.request_payload), call.request)
    asked = f"{before.provider_name}:{before.request_model}" if before.request_model else before.tool_name
    why = f"{found}" if found else f"it went to {asked}, and would go to {call.target.name}"
    raise Diverged(f"the replay diverges at {place}: {why}")

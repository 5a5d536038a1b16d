"""Journal: a call that had finished is answered from its record, so a step that runs again pays nothing twice."""

from engine.runtime.answer import Answer
from engine.runtime.run import Call, CallNext


async def journal(call: Call, call_next: CallNext) -> Answer:
    """Answer from the journal, or make the call; a request that has changed since is noted and made."""
    run, step_id = call.run, call.step.record.step_id
    charged = run.journal.charged_at(step_id, call.ordinal)
    call.step.account.recount(charged)
    call.step.spent += charged
    recalled = run.journal.recall(step_id, call.ordinal, call.request_hash)
    if recalled is not None and recalled.response_payload is not None:
        return call.target.restore(call, await run.ledger.value(recalled.response_payload))
    call.diverged_from = run.journal.other_request(step_id, call.ordinal, call.request_hash)
    call.attempt = run.journal.attempts(step_id, call.ordinal)
    return await call_next(call)

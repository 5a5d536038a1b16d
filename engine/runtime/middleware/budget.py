"""Budget: the most that an attempt can spend is reserved before it is made; what it spent is settled after."""

from engine.runtime.answer import Answer
from engine.runtime.middleware.degrade import warn_when_low
from engine.runtime.run import Call, CallNext
from engine.usage import Amount


async def budget(call: Call, call_next: CallNext) -> Answer:
    """Reserve, make the attempt, settle; an attempt that was never sent gives its reservation back.

    Raises:
        BudgetExceeded: the attempt could pass a limit; it is not made.
    """
    account = call.step.account
    call.max_tokens = call.asked_tokens
    call.record = None
    call.reservation = call.target.bound(call, account)
    needed = needed_for(call)
    await call.run.spending.ensure(call.run.account, needed)
    account.reserve(needed)
    account.release(needed - call.reservation)
    try:
        return await call_next(call)
    finally:
        sent = call.record
        if sent is None:
            account.release(call.reservation)
        else:
            spent = Amount(tokens=sent.charged_tokens, nano_usd=sent.charged_nano_usd, calls=1)
            account.settle(call.reservation, spent)
            call.step.spent += spent
            warn_when_low(call)


def needed_for(call: Call) -> Amount:
    """Give what the budget must have left for an attempt: what is reserved for it, and as much again for another."""
    return call.reservation + call.reservation if call.leaves_another else call.reservation

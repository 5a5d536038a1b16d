"""Retry: a failed attempt is made again after a wait, if its error may pass with time and there is time left."""

from tenacity import RetryCallState, stop_after_attempt, wait_exponential

from engine.definition.policies import Retry
from engine.errors import CallError, RunError
from engine.runtime.answer import Answer
from engine.runtime.run import Call, CallNext
from engine.usage import Amount

_ONE_RETRY = Amount(retries=1)


async def retry(call: Call, call_next: CallNext) -> Answer:
    """Make attempts until one succeeds, the error is not retryable, or time, policy or budget say stop."""
    policy = call.step.node.retry
    attempt = 0
    call.run.retries.earn(call.target.name, policy.share)
    while True:
        attempt += 1
        call.attempt += 1
        try:
            return await call_next(call)
        except RunError as error:
            wait = _wait_before_next(policy, error, attempt, call.run.clock.random())
            if wait is None:
                raise
            if why := _why_not(call, wait):
                error.args = (f"{error}; it was not tried again, since {why}",)
                raise
            if call.recorded is None:
                await call.run.clock.sleep(wait)


def _why_not(call: Call, wait: float) -> str | None:
    """Say what is against another attempt after a wait; nothing if nothing is, and then it is counted."""
    left, account = call.step.seconds_left, call.step.account
    if left is not None and wait >= left:
        return f"the wait of {wait:.1f} s would outlast the {left:.1f} s that are left"
    if account.left("retries") == 0:
        return "the retries of the budget are used up"
    if not call.run.retries.spend(call.target.name):
        return f"{call.target.name} fails too often for everybody to try again (Retry(share=...))"
    account.spend(_ONE_RETRY)
    return None


def _wait_before_next(policy: Retry, error: RunError, attempt: int, chance: float) -> float | None:
    """Give the seconds to wait before the next attempt; None when there is to be none.

    A target that says when to come back is believed; one that says "later than max_wait" is not asked again.
    """
    state = _state(attempt)
    if not error.retryable or stop_after_attempt(policy.attempts)(state):
        return None
    asked = error.retry_after if isinstance(error, CallError) else None
    if asked is not None and asked > policy.max_wait:
        return None
    backed_off = wait_exponential(multiplier=policy.wait, max=policy.max_wait)(state)
    return max(backed_off * (1 + policy.jitter * chance), asked or 0.0)


def _state(attempt: int) -> RetryCallState:
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # tenacity's strategies read the attempt alone
    state.attempt_number = attempt
    return state

"""Retry: a failed attempt is made again after a wait, if its error may pass with time."""

from tenacity import RetryCallState, stop_after_attempt, wait_exponential

from engine.definition.policies import Retry
from engine.errors import CallError, RunError
from engine.runtime.run import Answer, Call, CallNext


async def retry(call: Call, call_next: CallNext) -> Answer:
    """Make attempts until one succeeds, the error is not retryable, or the policy says stop."""
    policy = call.step.node.retry
    attempt = 0
    while True:
        attempt += 1
        call.attempt += 1
        try:
            return await call_next(call)
        except RunError as error:
            wait = _wait_before_next(policy, error, attempt, call.run.clock.random())
            if wait is None:
                raise
            await call.run.clock.sleep(wait)


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

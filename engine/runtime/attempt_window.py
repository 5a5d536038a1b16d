"""What became of the attempts at a target lately: a sliding window of time."""

from collections import deque
from dataclasses import dataclass, field

from engine.definition.policies import Breaker
from engine.usage import to_nano_usd, to_usd


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that has ended.

    Attributes:
        at_ns: when, by the clock's count.
        lost_nano_usd: what it was charged, if it failed.
    """

    at_ns: int
    failed: bool
    slow: bool
    lost_nano_usd: int = 0


@dataclass(slots=True)
class AttemptWindow:
    """Counts as it goes, so that a question costs nothing however many attempts there were."""

    policy: Breaker
    _attempts: deque[Attempt] = field(default_factory=deque[Attempt])
    _failed: int = 0
    _slow: int = 0
    _lost_nano_usd: int = 0

    def add(self, attempt: Attempt) -> None:
        """Note an attempt, and forget those that the window has passed."""
        self._count(attempt, 1)
        self._attempts.append(attempt)
        oldest = attempt.at_ns - int(self.policy.window * 1e9)
        while self._attempts[0].at_ns < oldest:
            self._count(self._attempts.popleft(), -1)

    def clear(self) -> None:
        """Forget all: a target that works again is judged by what it does from now on."""
        self._attempts.clear()
        self._failed = self._slow = self._lost_nano_usd = 0

    def fault(self) -> str | None:
        """Say what is too much; None if nothing is."""
        policy, number = self.policy, len(self._attempts)
        span = f"of {number} attempts in {policy.window:g} s"
        if policy.lost_usd is not None and self._lost_nano_usd >= to_nano_usd(policy.lost_usd):
            return f"burnt ${to_usd(self._lost_nano_usd):f} on failures in {policy.window:g} s"
        if number < policy.min_calls:
            return None
        if policy.failure_rate is not None and self._failed >= policy.failure_rate * number:
            return f"failed in {self._failed} {span}"
        if policy.slow_seconds is not None and self._slow >= policy.slow_rate * number:
            return f"took {policy.slow_seconds:g} s or longer in {self._slow} {span}"
        return None

    def _count(self, attempt: Attempt, sign: int) -> None:
        self._failed += sign * attempt.failed
        self._slow += sign * attempt.slow
        self._lost_nano_usd += sign * attempt.lost_nano_usd

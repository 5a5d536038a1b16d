"""Breaker: a target that keeps failing is left alone, then tried with one probe.

pybreaker's state machine decides; this front keeps the time, lets one probe through, never holds a lock across an
await, and is neutral to whatever says nothing about the target: cancellation, budgets, guardrails.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from pybreaker import STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker, CircuitBreakerError

from engine.definition.policies import Breaker
from engine.errors import BreakerOpen, CallError
from engine.ports import Clock
from engine.runtime.run import Answer, Call, CallNext

_NEVER = 10**9  # seconds: pybreaker must not half-open by a clock of its own


@dataclass(slots=True)
class TargetBreaker:
    """The breaker of one target."""

    name: str
    policy: Breaker
    clock: Clock
    _machine: CircuitBreaker = field(init=False)
    _opened_ns: int = 0
    _probing: bool = False
    _generation: int = 0

    def __post_init__(self) -> None:
        self._machine = CircuitBreaker(
            fail_max=self.policy.failures, reset_timeout=_NEVER, throw_new_error_on_trip=False, name=self.name
        )

    @property
    def state(self) -> str:
        """Say `closed`, `open` or `half-open`."""
        return self._machine.current_state

    def admit(self) -> int:
        """Let an attempt through and give its generation.

        Raises:
            BreakerOpen: the target is left alone, or its one probe is on its way.
        """
        waited = (self.clock.monotonic_ns() - self._opened_ns) / 1e9
        if self.state == STATE_OPEN and waited >= self.policy.reset_after:
            self._machine.half_open()
            self._generation += 1
        if self.state == STATE_OPEN or self._probing:
            left = max(self.policy.reset_after - waited, 0.0)
            raise BreakerOpen(
                f"{self.name} failed {self.policy.failures} times in a row and is left alone for another {left:.0f} s"
            )
        self._probing = self.state == STATE_HALF_OPEN
        return self._generation

    def leave(self, generation: int, error: BaseException | None) -> None:
        """Say how an attempt ended; one that began before the state last changed says nothing."""
        if generation != self._generation:
            return
        self._probing = False
        if error is None:
            self._tell(_succeed)
        elif isinstance(error, CallError) and error.retryable:
            self._tell(_fail(error))

    def _tell(self, outcome: Callable[[], None]) -> None:
        before = self.state
        with suppress(CallError, CircuitBreakerError):  # the caller has the error in hand; this moves the machine
            self._machine.call(outcome)
        if self.state != before:
            self._generation += 1
            self._opened_ns = self.clock.monotonic_ns()


@dataclass(slots=True)
class Breakers:
    """The breakers of an app, one a target."""

    clock: Clock
    _by_name: dict[str, TargetBreaker] = field(default_factory=dict[str, TargetBreaker])

    def of(self, name: str, policy: Breaker) -> TargetBreaker:
        """Give the breaker of a target; the first policy that names it holds."""
        if name not in self._by_name:
            self._by_name[name] = TargetBreaker(name, policy, self.clock)
        return self._by_name[name]


async def breaker(call: Call, call_next: CallNext) -> Answer:
    """Make the attempt if the target is not left alone, and remember how it went."""
    guard: TargetBreaker = call.run.breakers.of(call.target.name, call.step.node.breaker)
    generation = guard.admit()
    try:
        answer = await call_next(call)
    except BaseException as error:
        guard.leave(generation, error)
        raise
    guard.leave(generation, None)
    return answer


def _succeed() -> None:
    return None


def _fail(error: CallError) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail

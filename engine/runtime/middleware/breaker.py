"""Breaker: a target that keeps failing is left alone, then tried with one probe of one process.

pybreaker's state machine decides which state follows; this front keeps the time and the window, lets one probe through
and never holds a lock across an await. What says nothing of the target is neutral: cancellation, budgets, guardrails.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pybreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker, CircuitBreakerError

from engine.definition.policies import Breaker
from engine.errors import BreakerOpen, CallError, StoreError
from engine.ports import Clock, Ledger
from engine.records import BreakerRecord
from engine.runtime.answer import Answer
from engine.runtime.attempt_window import Attempt, AttemptWindow
from engine.runtime.run import Call, CallNext
from engine.runtime.telling import tell

_NEVER = 10**9  # seconds: pybreaker must not half-open by a clock of its own
_LOOK_NS = 10**9  # how long what other processes found is not asked for again


@dataclass(slots=True)
class TargetBreaker:
    """The breaker of one target."""

    name: str
    policy: Breaker
    clock: Clock
    reason: str = ""
    changed_at: datetime | None = None
    _window: AttemptWindow = field(init=False)
    _machine: CircuitBreaker = field(init=False)
    _opened_ns: int = 0
    _probing: bool = False
    _generation: int = 0

    def __post_init__(self) -> None:
        self._window = AttemptWindow(self.policy)
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
            raise self.refusal(max(self.policy.reset_after - waited, 0.0))
        self._probing = self.state == STATE_HALF_OPEN
        return self._generation

    def refusal(self, seconds: float) -> BreakerOpen:
        """Say why nothing is let through."""
        return BreakerOpen(f"{self.name} {self.reason} and is left alone for another {seconds:.0f} s")

    def leave(self, generation: int, error: BaseException | None, *, seconds: float = 0.0, lost: int = 0) -> bool:
        """Say how an attempt ended, and give whether the state has changed.

        One that began before the state last changed says nothing.

        Args:
            generation: what `admit` gave.
            error: what it raised, if it did.
            seconds: how long it took.
            lost: what it was charged, in nano-USD, if it failed.
        """
        if generation != self._generation:
            return False
        self._probing = False
        failed = isinstance(error, CallError) and error.retryable
        if error is not None and not failed:
            return False
        before = self.state
        slow = self.policy.slow_seconds is not None and seconds >= self.policy.slow_seconds
        self._window.add(Attempt(self.clock.monotonic_ns(), failed, slow, lost if failed else 0))
        with suppress(CallError, CircuitBreakerError):  # the caller has the error in hand; this moves the machine
            self._machine.call(_fail(error) if isinstance(error, CallError) else _succeed)
        fault = self._window.fault() if self.state == before == STATE_CLOSED else None
        if fault is not None:
            self._machine.open()
        if self.state != before:
            self._turned(fault or f"failed {self.policy.failures} times in a row")
        return self.state != before

    def learn(self, found: BreakerRecord) -> None:
        """Take over what another process has found since, or a person said."""
        if found.changed_at is None or (self.changed_at is not None and found.changed_at <= self.changed_at):
            return
        if found.state == STATE_OPEN and self.state != STATE_HALF_OPEN:
            heard_late = self.clock.now() - found.changed_at  # it is open since then
            self._machine.open()
            self._turned(found.reason)
            self.changed_at = found.changed_at
            self._opened_ns -= max(int(heard_late.total_seconds() * 1e9), 0)
        elif found.state == STATE_CLOSED and self.state == STATE_OPEN:
            self._machine.close()
            self._turned("")
            self.changed_at = found.changed_at

    def leave_to_others(self) -> BreakerOpen:
        """Let another process probe, and ask again in a while, since asking is a question to the database."""
        self._machine.open()
        self._probing = False
        self._generation += 1
        self._opened_ns = self.clock.monotonic_ns() + _LOOK_NS - int(self.policy.reset_after * 1e9)
        return self.refusal(_LOOK_NS / 1e9)

    def record(self) -> BreakerRecord:
        """Give what others are to know; nobody probes again before an opened one has been left alone long enough."""
        until = None
        if self.state == STATE_OPEN and self.changed_at is not None:
            until = self.changed_at + timedelta(seconds=self.policy.reset_after)
        return BreakerRecord(self.name, self.state, self.changed_at, self.reason, until)

    def _turned(self, reason: str) -> None:
        self._generation += 1
        self._probing = False
        self._opened_ns, self.changed_at = self.clock.monotonic_ns(), self.clock.now()
        self.reason = reason if self.state == STATE_OPEN else ""
        self._window.clear()


@dataclass(slots=True)
class Breakers:
    """The breakers of an app, one a target, with what other processes on the same ledger have found."""

    clock: Clock
    ledger: Ledger
    _by_name: dict[str, TargetBreaker] = field(default_factory=dict[str, TargetBreaker])
    _looked_ns: int | None = None
    _looking: "asyncio.Task[None] | None" = None

    def of(self, name: str, policy: Breaker) -> TargetBreaker:
        """Give the breaker of a target; the first policy that names it holds."""
        if name not in self._by_name:
            self._by_name[name] = TargetBreaker(name, policy, self.clock)
        return self._by_name[name]

    def look(self) -> None:
        """Ask in the background, now and then, what other processes have found."""
        now = self.clock.monotonic_ns()
        if self._looked_ns is None or now - self._looked_ns >= _LOOK_NS:
            self._looked_ns = now
            self._looking = asyncio.get_running_loop().create_task(self._learn())

    async def close(self) -> None:
        """Wait for the answer to what was asked last."""
        if self._looking is not None:
            await asyncio.gather(self._looking, return_exceptions=True)

    async def may_probe(self, guard: TargetBreaker) -> bool:
        """Say whether this process is the one that tries a target which was left alone."""
        until = self.clock.now() + timedelta(seconds=guard.policy.reset_after)
        try:
            return await self.ledger.begin_probe(guard.name, self.clock.now(), until)
        except StoreError:
            return True  # the call itself will hear of the database

    async def _learn(self) -> None:
        with suppress(StoreError):  # what this process knows by itself still holds
            for found in await self.ledger.breakers():
                if found.target in self._by_name:
                    self._by_name[found.target].learn(found)


async def breaker(call: Call, call_next: CallNext) -> Answer:
    """Make the attempt if the target is not left alone, and remember how it went."""
    run, breakers = call.run, call.run.breakers
    guard: TargetBreaker = breakers.of(call.target.name, call.step.node.breaker)
    breakers.look()
    generation = guard.admit()
    began = run.clock.monotonic_ns()
    error: BaseException | None = None
    try:
        if guard.state == STATE_HALF_OPEN and not await breakers.may_probe(guard):
            raise guard.leave_to_others()
        return await call_next(call)
    except BaseException as raised:
        error = raised
        raise
    finally:
        lost = 0 if call.record is None else call.record.charged_nano_usd
        seconds = (run.clock.monotonic_ns() - began) / 1e9
        if guard.leave(generation, error, seconds=seconds, lost=lost):
            run.write((guard.record(),))
            tell(call.step, "breaker_changed", {"target": guard.name, "state": guard.state, "reason": guard.reason})


def _succeed() -> None:
    return None


def _fail(error: CallError) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail

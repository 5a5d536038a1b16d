"""Admission: a call waits until the limits of its target leave room for it, in turn with those of other tenants.

It stands outside the breaker, so that a call whose turn comes late is judged by how its target stands then.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from engine.errors import RateLimited, StoreError
from engine.ports import Clock, Ledger
from engine.runtime.answer import Answer
from engine.runtime.gate import Gate
from engine.runtime.rate_limit import RateLimit
from engine.runtime.run import Call, CallNext

_LOOK_NS = 2 * 10**9  # how long the number of processes is not asked for again


@dataclass(slots=True)
class Admission:
    """The gates of an app: one before each target, and one before all models of a provider that has a limit.

    Attributes:
        limits: by the name of a provider or of a target.
    """

    clock: Clock
    ledger: Ledger
    limits: Mapping[str, RateLimit] = field(default_factory=dict[str, RateLimit])
    _gates: dict[str, Gate] = field(default_factory=dict[str, Gate])
    _sharers: int = 1
    _looked_ns: int | None = None
    _looking: "asyncio.Task[None] | None" = None

    def gates_of(self, target: str) -> list[Gate]:
        """Give the gates that a call passes, the narrowest first, so that no two calls wait for one another."""
        provider = target.partition(":")[0]
        return [self._gate(target), *([self._gate(provider)] if provider != target and provider in self.limits else [])]

    def look(self) -> None:
        """Ask in the background, now and then, how many processes share the limits."""
        now = self.clock.monotonic_ns()
        if self.limits and (self._looked_ns is None or now - self._looked_ns >= _LOOK_NS):
            self._looked_ns = now
            self._looking = asyncio.get_running_loop().create_task(self._share())

    async def close(self) -> None:
        """Wait for the answer to what was asked last."""
        if self._looking is not None:
            await asyncio.gather(self._looking, return_exceptions=True)

    def _gate(self, name: str) -> Gate:
        if name not in self._gates:
            self._gates[name] = Gate(name, self.limits.get(name) or RateLimit(), self.clock)
            self._gates[name].share(self._sharers)
        return self._gates[name]

    async def _share(self) -> None:
        with suppress(StoreError):  # the limits stay divided as they were
            self._sharers = max(await self.ledger.workers_alive(), 1)
            for gate in self._gates.values():
                gate.share(self._sharers)


async def admission(call: Call, call_next: CallNext) -> Answer:
    """Make the attempt when there is room for it, and tell the gates what it used and what its target said.

    Raises:
        NotAdmitted: there is no room for it in the time that it has.
    """
    admissions: Admission = call.run.admission
    admissions.look()
    gates, tokens = admissions.gates_of(call.target.name), call.reservation.tokens
    entered: list[Gate] = []
    came = call.run.clock.monotonic_ns()
    try:
        for gate in gates:
            await gate.enter(
                call.run.record.tenant or "",
                tokens,
                seconds_left=call.step.seconds_left,
                patience=call.step.node.retry.max_wait,
            )
            entered.append(gate)
        call.waited_ns = call.run.clock.monotonic_ns() - came
        answer = await call_next(call)
        for gate in gates:
            gate.succeeded()
            gate.learn(requests=answer.requests_left, tokens=answer.tokens_left)
        return answer
    except RateLimited as error:
        for gate in entered:
            gate.refused(error.retry_after)
        raise
    finally:
        used = None if call.record is None else call.record.charged_tokens
        for gate in reversed(entered):
            gate.leave(tokens, used=used)

"""The gate before one target, or all models of a provider: who goes on now, who waits, and who waits in vain."""

import asyncio
from dataclasses import dataclass, field

from engine.errors import NotAdmitted
from engine.ports import Clock
from engine.runtime.fair_queue import FairQueue, Waiting
from engine.runtime.rate_limit import Bucket, RateLimit


@dataclass(slots=True)
class Gate:
    """Keeps to a rate limit, and stays closed for as long as the target asks to be left alone.

    After the target said that it had too many requests, half as many as were under way may be, and one more with each
    that succeeds; so what has piled up before a closed gate does not go out at once.
    """

    name: str
    limit: RateLimit
    clock: Clock
    _requests: Bucket | None = field(init=False)
    _tokens: Bucket | None = field(init=False)
    _sharers: int = 1
    _under_way: int = 0
    _window: int | None = None
    _closed_until_ns: int = 0
    _queue: FairQueue = field(default_factory=FairQueue)
    _timer: "asyncio.Task[None] | None" = None
    _wakes_ns: int = 0

    def __post_init__(self) -> None:
        requests, tokens = self.limit.requests_per_minute, self.limit.tokens_per_minute
        self._requests = None if requests is None else Bucket(requests)
        self._tokens = None if tokens is None else Bucket(tokens)

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(list(self._queue))

    async def enter(self, tenant: str, tokens: int, *, seconds_left: float | None, patience: float) -> None:
        """Wait for the turn of a call; whoever has entered leaves.

        Args:
            tenant: who takes turns with others.
            tokens: the most that it may use.
            seconds_left: how long it may take at the most.
            patience: how many seconds it waits at the most for a closed gate.

        Raises:
            NotAdmitted: its turn comes too late.
        """
        if not self._queue and self._has_room() and self._wait(tokens) == 0:
            self._take(tokens)
            return
        ends_ns = None if seconds_left is None else self.clock.monotonic_ns() + int(seconds_left * 1e9)
        one = Waiting(tenant, tokens, ends_ns, patience, asyncio.get_running_loop().create_future())
        if (refusal := self._refusal(one)) is not None:
            raise refusal
        self._queue.push(one)
        self._admit()
        try:
            await one.turn
        except BaseException:
            if one.has_turn:  # it was cancelled in the moment in which its turn came
                self.leave(tokens, used=None)
            else:
                self._queue.remove(one)
                self._admit()
            raise

    def leave(self, tokens: int, *, used: int | None) -> None:
        """Make room for others.

        Args:
            tokens: what the call entered with.
            used: the tokens that it has used; None if it was not sent.
        """
        now = self.clock.monotonic_ns()
        self._under_way -= 1
        if self._requests is not None and used is None:
            self._requests.give(1, now)
        if self._tokens is not None:
            self._tokens.give(tokens - (used or 0), now)
        self._admit()

    def succeeded(self) -> None:
        """Hear that the target has answered."""
        if self._window is not None:
            self._window = self._window + 1 if self._queue or self._under_way > 1 else None

    def refused(self, seconds: float | None) -> None:
        """Hear that the target had too many requests, and for how long it asks to be left alone, if it said so."""
        self._window = max(min(self._under_way, self._window or self._under_way) // 2, 1)
        if seconds is not None:
            self._closed_until_ns = max(self._closed_until_ns, self.clock.monotonic_ns() + int(seconds * 1e9))
            for one in self._queue:
                if not one.turn.done() and (refusal := self._refusal(one, in_queue=True)) is not None:
                    self._queue.remove(one)
                    one.refuse(refusal)
            self._admit()

    def learn(self, *, requests: int | None, tokens: int | None) -> None:
        """Hear how much of its limits the target says is left."""
        now = self.clock.monotonic_ns()
        if self._requests is not None and requests is not None:
            self._requests.holds_at_most(requests, now)
        if self._tokens is not None and tokens is not None:
            self._tokens.holds_at_most(tokens, now)

    def share(self, sharers: int) -> None:
        """Divide the limit among so many processes."""
        self._sharers = sharers
        for bucket in (self._requests, self._tokens):
            if bucket is not None:
                bucket.sharers = sharers

    def _has_room(self) -> bool:
        concurrency = None if self.limit.concurrency is None else max(self.limit.concurrency // self._sharers, 1)
        return all(most is None or self._under_way < most for most in (concurrency, self._window))

    def _closed(self) -> float:
        return max(self._closed_until_ns - self.clock.monotonic_ns(), 0) / 1e9

    def _wait(self, tokens: int, *, calls_ahead: int = 0, tokens_ahead: int = 0) -> float:
        """Say for how many seconds, at the least, a call has to wait for time to pass."""
        now = self.clock.monotonic_ns()
        requests = 0.0 if self._requests is None else self._requests.wait(1, now, ahead=calls_ahead)
        room = 0.0 if self._tokens is None else self._tokens.wait(tokens, now, ahead=tokens_ahead)
        return max(requests, room, self._closed())

    def _take(self, tokens: int) -> None:
        now = self.clock.monotonic_ns()
        self._under_way += 1
        if self._requests is not None:
            self._requests.take(1, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)

    def _admit(self) -> None:
        """Let those go on whose turn it is, and see to it that the next is looked at in time."""
        while (head := self._queue.head()) is not None and self._has_room():
            if (wait := self._wait(head.tokens)) > 0:
                self._wake_in(wait)
                return
            self._queue.pop(head)
            if not head.turn.done():  # it may have been cancelled, and not have heard of it
                self._take(head.tokens)
                head.turn.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_in(self, seconds: float) -> None:
        wakes_ns = self.clock.monotonic_ns() + int(seconds * 1e9)
        if self._timer is not None:
            if self._wakes_ns <= wakes_ns:
                return
            self._timer.cancel()
        self._wakes_ns = wakes_ns
        self._timer = asyncio.get_running_loop().create_task(self._wake(seconds))

    async def _wake(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        self._timer = None
        self._admit()

    def _refusal(self, one: Waiting, *, in_queue: bool = False) -> NotAdmitted | None:
        """Say why a call waits in vain; None if its turn may come in time."""
        closed = self._closed()
        if closed > one.patience:
            return NotAdmitted(
                f"{self.name} asked to be left alone for another {closed:.0f} s, "
                f"and the call waits {one.patience:g} s at the most (Retry(max_wait=...))"
            )
        if one.ends_ns is None:
            return None
        left = (one.ends_ns - self.clock.monotonic_ns()) / 1e9
        calls, tokens = (0, 0) if in_queue else self._queue.ahead(one.tenant)
        wait = self._wait(one.tokens, calls_ahead=calls, tokens_ahead=tokens)
        if wait < left:
            return None
        return NotAdmitted(
            f"the limits of {self.name} leave no room for the call within the {max(left, 0.0):.1f} s that it has: "
            f"it would wait {wait:.1f} s or longer"
        )

"""A worker: claims queued runs, works on many at once, gives back what it cannot finish."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from engine.app import App
from engine.dispatch.crowd import delay, off_watch, watching
from engine.dispatch.hearing import Hearing
from engine.dispatch.stopping import stop
from engine.errors import EngineError, LeaseLost, StoreError
from engine.ports import Taken
from engine.records import RunRecord
from engine.runtime.enqueue import DEFAULT_QUEUE
from engine.runtime.leaving import Leaving
from engine.store.hints import next_due
from engine.store.lanes import Lane, Wanted
from engine.store.lease import count_alive
from engine.store.lease_time import beat_seconds
from engine.store.run_queue import due_count, forget_lanes

_SHORTEST_LOOK, _LONGEST_LOOK = 0.02, 1.0  # seconds between looks at a queue that had nothing
_LOOK_SECONDS = 1.0  # between looks at schedules, samples and alarms
_DUE_SECONDS = 1.0  # between looks for runs that are due before the next
_LATE_SECONDS = 0.002  # after which a run is due by whichever rounding
_SPARE_OF = 8  # places of which one is kept for lanes that have nothing here
_LANE_LIFE = timedelta(minutes=10)

Heard = Callable[[Taken, str], None]
"""Is told what became of a run that was taken: its status, `lost`, or why it stopped."""


@dataclass(slots=True)
class Worker:
    """Works on queued runs of an app until it is drained, or until nothing is left.

    Attributes:
        concurrency: how many runs are in progress at once.
        queues: which queues it takes from.
        workflows: which workflows it takes; all of the app if not given.
        until_empty: whether it ends when nothing is due any more.
        heard: whether its runs can be listened to in this process, text and all.
        on_end: is told of each run that ended here.
        ended: how many runs left this worker, by how.
        claimed: how many it has taken.
        is_drained_by_word: whether somebody said on the ledger that it is to drain, so that it is not to come back.
    """

    app: App
    concurrency: int = 16
    queues: Sequence[str] = (DEFAULT_QUEUE,)
    workflows: Sequence[str] | None = None
    until_empty: bool = False
    heard: bool = False
    on_end: Heard | None = None
    ended: Counter[str] = field(default_factory=Counter[str])
    claimed: int = 0
    is_drained_by_word: bool = False
    _leaving: Leaving = field(default_factory=Leaving)
    _runs: dict[asyncio.Task[None], Lane | None] = field(default_factory=dict[asyncio.Task[None], Lane | None])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _firing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def in_progress(self) -> int:
        """How many runs are worked on just now."""
        return len(self._runs)

    @property
    def _spare(self) -> int:
        """How many places are kept for lanes of which it has nothing, so that those need not wait for a run to end."""
        return self.concurrency // _SPARE_OF

    @property
    def is_draining(self) -> bool:
        """Whether it takes no more."""
        return self._leaving.is_wanted

    def drain(self) -> None:
        """Take no more; runs in progress finish the steps that they are at, and are queued again for others."""
        self._leaving.is_wanted = True
        self._wake.set()

    def _told_to_drain(self) -> None:
        self.is_drained_by_word = True
        self.drain()

    async def run(self) -> Counter[str]:
        """Work, and give how many runs ended how.

        Raises:
            ConfigurationError: a model of a workflow that it takes cannot be asked; the message names each; or what
                the app samples cannot be.
            StoreError: the database cannot be used.
        """
        self.app.check_models(self.workflows)
        ledger = self.app.ledger
        ear = Hearing(self.queues, self._versions, self._wake)
        with ledger.on_duty(partial(asyncio.get_running_loop().call_soon_threadsafe, self._told_to_drain)):
            works = [self._see_to_the_dead(ear), self._see_to_the_delayed(ear), ledger.dispatcher.listen(ear)]
            works += [self._see_to(self._see_to_schedules, ear, StoreError)]
            works += [self._see_to(self.app.evaluate_online, ear)] if self.app.samplings else []
            works += [self._see_to(self.app.check_alarms, ear)] if self.app.alarms else []
            upkeep = [asyncio.create_task(work) for work in works]
            try:
                await self._claim_and_work(ear)
            finally:
                await stop(upkeep)
                await asyncio.gather(*self._runs, return_exceptions=True)
        return self.ended

    async def _claim_and_work(self, ear: Hearing) -> None:
        look = _SHORTEST_LOOK
        while not self._leaving.is_wanted:
            self._wake.clear()
            free = self.concurrency - len(self._runs)
            taken = await self._claim(free) if free else []
            self.claimed += len(taken)
            for one in taken:
                task = asyncio.create_task(self._work_on(one))
                self._runs[task] = one.lane
                task.add_done_callback(self._done)
            was_told = ear.looked(self.concurrency - len(self._runs))
            if taken or was_told:
                look = _SHORTEST_LOOK
            elif self.until_empty and not self._runs and not await self._left():
                return
            if not taken or len(self._runs) >= self.concurrency - self._spare:
                is_told = look == _LONGEST_LOOK and ear.hears and not self.until_empty
                off = self._off_watch(ear, look) if is_told else 0.0
                await self._rest(look + off if free else None)
                look = min(look * 2, _LONGEST_LOOK)

    async def _claim(self, capacity: int) -> list[Taken]:
        try:
            busy = {lane for lane in self._runs.values() if lane is not None}
            return await self.app.claim(capacity, self.queues, self.workflows, busy=busy, spare=self._spare)
        except StoreError:
            if self.until_empty:
                raise
            await self._rest(_LONGEST_LOOK)  # a server that restarts: its runs are still there
            return []

    async def _rest(self, seconds: float | None) -> None:
        """Wait until a run ends or somebody says something, so many seconds at the most."""
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return

    async def _work_on(self, taken: Taken) -> None:
        try:
            result = await self.app.go_on(taken, self._leaving, heard=self.heard)
            status = str(result.status)
        except LeaseLost:
            status = "lost"
        except Exception as error:  # whatever it is, the other runs go on
            status = f"stopped: {error if isinstance(error, EngineError) else repr(error)}"
        self.ended[status.partition(":")[0]] += 1
        if self.on_end is not None:
            self.on_end(taken, status)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._runs[task]
        self._wake.set()

    def _versions(self) -> set[str]:
        return set(self.app.known_versions(self.workflows))

    async def _left(self) -> int:
        """Count what is due; another worker may hold the lock of a lane just now."""
        await self._fire()
        wanted = Wanted(self.queues, await self.app.versions(self.workflows))
        return await self.app.ledger.read(lambda connection: due_count(connection, wanted))

    def _off_watch(self, ear: Hearing, watch: float) -> float:
        """Say for how many seconds this worker leaves to its peers what any of them may see to."""
        return off_watch(ear.peers, watch, self.app.clock.random)

    async def _fire(self) -> list[RunRecord]:
        """Queue what schedules ask for; whoever asks meanwhile hears of it when that is done."""
        async with self._firing:
            return await self.app.fire_schedules()

    async def _see_to_the_dead(self, ear: Hearing) -> None:
        """Queue again what dead workers had, now and then."""
        ledger = self.app.ledger
        while True:
            try:
                lost = await ledger.reap()
                before = self.app.clock.now() - _LANE_LIFE
                await ledger.change(lambda connection, before=before: forget_lanes(connection, before))
                ear.peers = await ledger.change(count_alive)
            except StoreError:
                lost = []
            if lost:
                self._wake.set()
                await ledger.announce(lost)
            watch = beat_seconds(ledger.lease_seconds)
            await asyncio.sleep(watch + self._off_watch(ear, watch))

    async def _see_to_schedules(self) -> None:
        """Queue what schedules ask for."""
        if await self._fire():
            self._wake.set()

    async def _see_to(
        self, look: Callable[[], Awaitable[object]], ear: Hearing, survives: type[EngineError] = EngineError
    ) -> None:
        """Look once a second at what may be due; what cannot be done now is due afterwards, and no run waits for it."""
        while True:
            with suppress(survives):
                await look()
            await asyncio.sleep(_LOOK_SECONDS + self._off_watch(ear, _LOOK_SECONDS))

    async def _see_to_the_delayed(self, ear: Hearing) -> None:
        """Look as soon as a delayed run is due; of many workers some keep watch, and of these a few look at once."""
        after: datetime | None = None  # up to when delayed runs have been looked for, by the clock of the database
        while True:
            wait, is_due = _DUE_SECONDS, False
            with suppress(StoreError):
                wanted = Wanted(self.queues, self._versions())
                at, now = await self.app.ledger.read(partial(next_due, wanted=wanted, after=after, within=_DUE_SECONDS))
                after, is_due = at or now, at is not None
                if at is not None:
                    late = delay(1, watching(ear.peers), self.app.clock.random) + _LATE_SECONDS
                    wait = max((at - now).total_seconds(), 0.0) + late
            await asyncio.sleep(wait)
            if is_due:
                await ear.look()
            if off := self._off_watch(ear, _DUE_SECONDS):
                after = None
                await asyncio.sleep(off)

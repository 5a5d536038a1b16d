"""A worker: claims queued runs, works on many at once, gives back what it cannot finish."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from engine.app import App
from engine.errors import EngineError, LeaseLost, StoreError
from engine.ports import Taken
from engine.runtime.enqueue import DEFAULT_QUEUE
from engine.runtime.leaving import Leaving
from engine.store.run_queue import Wanted, due_count, forget_lanes, reap

_SHORTEST_LOOK, _LONGEST_LOOK = 0.02, 1.0  # seconds between looks at a queue that had nothing
_REAP_SECONDS = 2.0
_LANE_LIFE = timedelta(minutes=10)

Heard = Callable[[Taken, str], None]
"""Is told what became of a run that was taken: its status, `lost`, or why it stopped."""


@dataclass(slots=True)
class Worker:
    """Works on queued runs of an app until it is drained, or until nothing is left.

    Attributes:
        concurrency: how many runs are in progress at once.
        queues: which queues it takes from.
        until_empty: whether it ends when nothing is due any more.
        heard: whether its runs can be listened to in this process, text and all.
        on_end: is told of each run that ended here.
    """

    app: App
    concurrency: int = 16
    queues: Sequence[str] = (DEFAULT_QUEUE,)
    until_empty: bool = False
    heard: bool = False
    on_end: Heard | None = None
    ended: Counter[str] = field(default_factory=Counter[str])
    _leaving: Leaving = field(default_factory=Leaving)
    _runs: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def drain(self) -> None:
        """Take no more; runs in progress finish the steps that they are at, and are queued again for others."""
        self._leaving.is_wanted = True
        self._wake.set()

    async def run(self) -> Counter[str]:
        """Work, and give how many runs ended how.

        Raises:
            ConfigurationError: a model of a workflow cannot be asked.
            StoreError: the database cannot be used.
        """
        self.app.check_models()
        with self.app.ledger.on_duty():
            upkeep = asyncio.create_task(self._see_to_the_dead())
            try:
                await self._claim_and_work()
            finally:
                upkeep.cancel()
                await asyncio.gather(upkeep, *self._runs, return_exceptions=True)
        return self.ended

    async def _claim_and_work(self) -> None:
        look = _SHORTEST_LOOK
        while not self._leaving.is_wanted:
            self._wake.clear()
            free = self.concurrency - len(self._runs)
            taken = await self._claim(free) if free else []
            for one in taken:
                task = asyncio.create_task(self._work_on(one))
                self._runs.add(task)
                task.add_done_callback(self._done)
            if taken:
                look = _SHORTEST_LOOK
            elif self.until_empty and not self._runs and not await self._left():
                return
            if not taken or len(self._runs) >= self.concurrency:
                await self._rest(look if free else None)
                look = min(look * 2, _LONGEST_LOOK)

    async def _claim(self, capacity: int) -> list[Taken]:
        try:
            return await self.app.claim(capacity, self.queues)
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
        self._runs.discard(task)
        self._wake.set()

    async def _left(self) -> int:
        """Count what is due; another worker may hold the lock of a lane just now."""
        versions = {workflow.version for workflow in self.app.workflows.values()}
        wanted = Wanted(self.queues, versions)
        return await self.app.ledger.read(lambda connection: due_count(connection, wanted))

    async def _see_to_the_dead(self) -> None:
        """Queue again what dead workers had, now and then."""
        ledger = self.app.ledger
        while True:
            try:
                lost = await ledger.change(reap)
                before = self.app.clock.now() - _LANE_LIFE
                await ledger.change(lambda connection, before=before: forget_lanes(connection, before))
            except StoreError:
                lost = []
            if lost:
                self._wake.set()
            await asyncio.sleep(_REAP_SECONDS)

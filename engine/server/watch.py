"""Waits for runs to stand still: one question to the ledger for all who wait, however many."""

import asyncio
from dataclasses import dataclass, field

from engine.errors import StoreError
from engine.records import RunRecord, RunStatus
from engine.store.ledger import SqlLedger

_LOOK_SECONDS = 0.05
GOES_ON = (RunStatus.QUEUED, RunStatus.RUNNING)
"""How a run stands that somebody works on, or will."""

_Waiting = set[asyncio.Future[RunRecord]]


@dataclass(slots=True)
class Watch:
    """Looks at runs that somebody waits for.

    Attributes:
        is_closing: set when nobody is to wait any longer.
    """

    ledger: SqlLedger
    is_closing: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: dict[str, _Waiting] = field(default_factory=dict[str, _Waiting])
    _looking: asyncio.Task[None] | None = None

    async def until_still(self, run: RunRecord, seconds: float) -> RunRecord:
        """Give a run when it has ended or waits for a person, or as it is after so many seconds.

        Raises:
            StoreError: the ledger cannot be read.
        """
        if run.status not in GOES_ON or not seconds:
            return run
        future: asyncio.Future[RunRecord] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(run.run_id, set())
        waiting.add(future)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        closing = asyncio.create_task(self.is_closing.wait())
        try:
            await asyncio.wait((future, closing), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return future.result() if future.done() else (await self.ledger.known([run.run_id]))[0]
        finally:
            closing.cancel()
            waiting.discard(future)
            if not waiting and self._waiting.get(run.run_id) is waiting:
                del self._waiting[run.run_id]

    async def _look(self) -> None:
        """Look while anybody waits."""
        while self._waiting:
            try:
                found = await self.ledger.known(list(self._waiting))
            except StoreError as error:
                for future in [one for waiting in self._waiting.values() for one in waiting if not one.done()]:
                    future.set_exception(error)
                found = ()
            for run in found:
                if run.status not in GOES_ON:
                    for future in [one for one in self._waiting.get(run.run_id, ()) if not one.done()]:
                        future.set_result(run)
            await asyncio.sleep(_LOOK_SECONDS)

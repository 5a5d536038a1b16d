"""Batches: runs that are queued together, looked at together and cancelled together."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from engine.control_records import BatchRecord
from engine.controls import Controls
from engine.errors import InputError
from engine.records import RunRecord
from engine.reports.batches import BatchRow, standing
from engine.runtime.enqueue import RunRequest
from engine.store import queued_batches

_AT_ONCE = 200  # runs in one transaction


@dataclass(frozen=True, slots=True)
class Queued:
    """What was queued together.

    Attributes:
        batch: the batch.
        runs: its runs, in the order of the requests.
    """

    batch: BatchRecord
    runs: list[RunRecord]


class Batches(Controls):
    """The part of an app that knows runs that were queued together."""

    async def enqueue_batch(
        self,
        workflow: str,
        requests: Sequence[RunRequest],
        *,
        name: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Queued:
        """Queue runs as a batch, 200 in a transaction.

        Under a name that there is, what is new is added: a request whose input stands in the batch already is the run
        that stands there, as often as it does. So whoever was cut off asks again.

        Args:
            workflow: the workflow's name.
            requests: the runs.
            name: how people call the batch; it has an id in any case.
            on_progress: is told how many are queued.

        Raises:
            ConfigurationError: there is no such workflow, or a model of it cannot be asked.
            InputError: an input does not fit the workflow's state, or the batch is another workflow's or was cancelled;
                runs in transactions before are queued.
        """
        made = BatchRecord(
            batch_id=self.clock.new_id(),
            name=name or None,
            workflow=self.workflow(workflow).name,
            created_at=self.clock.now(),
        )
        batch = await self.ledger.change(lambda connection: queued_batches.open_batch(connection, made))
        asked = _requests(batch, requests)
        records: list[RunRecord] = []
        try:
            for start in range(0, len(asked), _AT_ONCE):
                if await self.ledger.read(lambda connection: queued_batches.is_cancelled(connection, batch.batch_id)):
                    raise InputError(f"the batch was cancelled when {len(records):,} of its runs had been queued")
                records += await self.enqueue_all(workflow, asked[start : start + _AT_ONCE])
                if on_progress is not None:
                    on_progress(len(records))
        finally:
            await self.ledger.change(lambda connection: queued_batches.forget_empty(connection, batch.batch_id))
        return Queued(batch, records)

    async def batch(self, name: str) -> BatchRow:
        """Give how a batch stands: its runs by status, what they cost, and when they will have ended.

        Args:
            name: its name, its id, or a beginning of that.

        Raises:
            InputError: there is none, or several fit.
        """
        found = await self.ledger.read(lambda connection: queued_batches.named(connection, name))
        return (await standing(self.ledger, [found], self.clock.now()))[0]

    async def batches(self, limit: int = 50) -> list[BatchRow]:
        """Give how the latest batches stand, the newest first."""
        found = await self.ledger.read(lambda connection: queued_batches.latest(connection, limit))
        return await standing(self.ledger, found, self.clock.now())

    async def cancel_batch(self, name: str, *, by: str | None = None) -> BatchRow:
        """End the runs of a batch that have not ended; those in progress are asked to, and end within a second or so.

        Raises:
            InputError: there is no such batch.
        """
        found, now = await self.ledger.read(lambda connection: queued_batches.named(connection, name)), self.clock.now()
        batch_id = found.batch_id
        await self.ledger.change(lambda connection: queued_batches.close(connection, found, now, by))
        while await self.ledger.change(lambda connection: queued_batches.cancel_queued(connection, batch_id, now)):
            pass
        last: str | None = ""
        while last is not None:
            cancel_some = partial(queued_batches.cancel_begun, batch_id=batch_id, after=last, now=now, by=by)
            last = await self.ledger.change(cancel_some)
        return await self.batch(batch_id)


def _requests(batch: BatchRecord, requests: Sequence[RunRequest]) -> list[RunRequest]:
    """Put requests into a batch; in one with a name, the n-th of the same input is always the same run."""
    if batch.name is None:
        return [replace(request, batch_id=batch.batch_id) for request in requests]
    seen: Counter[str] = Counter()
    asked: list[RunRequest] = []
    for request in requests:
        text = json.dumps(dict(request.given), sort_keys=True, default=str)
        digest = hashlib.sha256(f"{request.tenant or ''}\0{text}".encode(errors="surrogatepass")).hexdigest()
        seen[digest] += 1
        key = request.key or f"batch {batch.batch_id} {digest} {seen[digest]}"
        asked.append(replace(request, batch_id=batch.batch_id, key=key))
    return asked

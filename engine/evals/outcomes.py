"""Outcomes: what became of runs in the world, said by people, evaluators or the business, however late."""

import math
from collections.abc import Sequence

from engine.errors import InputError
from engine.records import OutcomeRecord
from engine.replay.tapes import Tapes
from engine.store.said_outcomes import say_once


class Outcomes(Tapes):
    """The part of an app that hears what became of runs."""

    async def outcome(
        self,
        run_id: str,
        success: bool,
        *,
        value: float | None = None,
        name: str = "outcome",
        source: str = "person",
        note: str | None = None,
        key: str | None = None,
    ) -> OutcomeRecord:
        """Say what became of a run; what is said last counts, and what was said before is kept.

        Args:
            run_id: the run, or a beginning or end of its id.
            success: whether it did what it was for.
            value: what that was worth, in a unit of your own.
            name: what was judged, as in `resolved`.
            source: who says so: person, evaluator, or a system of yours.
            note: why.
            key: of your own: said again for this run under the same key, nothing is written and what was said first is
                given.

        Raises:
            InputError: there is no such run, a name is empty, or the value is not a number.
            StoreError: the ledger cannot be written.
        """
        if value is not None and not math.isfinite(value):
            raise InputError(f"the value of an outcome is a number, and {value} is none")
        if not name.strip() or not source.strip():
            raise InputError("an outcome has a name and a source: say what was judged, and who says so")
        run = await self.ledger.run(run_id)
        record = OutcomeRecord(
            run_id=run.run_id,
            name=name,
            source=source,
            created_at=self.clock.now(),
            success=success,
            value=value,
            note=note,
            idempotency_key=key,
        )
        if key is not None:
            return await self.ledger.change(lambda connection: say_once(connection, record))
        await self.ledger.commit([record])
        return record

    async def outcomes(self, run_id: str) -> Sequence[OutcomeRecord]:
        """Give what was said of a run, the last at the end.

        Raises:
            InputError: there is no such run.
        """
        run = await self.ledger.run(run_id)
        return await self.ledger.outcomes(run.run_id)

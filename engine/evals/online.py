"""Online evaluation: runs that people asked for are sampled and scored after they have ended, each once.

One worker at a time sees to a workflow; what it leaves undone, another does. No run waits for any of it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from engine.errors import BudgetExceeded, ConfigurationError, EngineError, RunBusy, StoreError
from engine.eval_records import ScoreRecord
from engine.evals.consequences import Consequences
from engine.evals.evaluators import Evaluator
from engine.evals.purse import Purse
from engine.evals.sampling import Sampling
from engine.evals.scoring import Scoring
from engine.evals.trial import trial_of
from engine.records import RunRecord
from engine.store import experiments, samples

OVERLAP = timedelta(minutes=2)
"""Runs are seen by when they began; so much later than others may a row of a run come to be seen."""

_LOOK = timedelta(seconds=5)
_AT_ONCE = 20  # runs whose samples are read at a time
_MOST_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at sampled runs came to.

    Attributes:
        scored: runs that were scored.
        left: runs that were not drawn, now that it is known how they ended.
        failed: runs that no evaluator could say anything of.
    """

    scored: int = 0
    left: int = 0
    failed: int = 0

    def __add__(self, other: "Looked") -> "Looked":
        """Add up."""
        return Looked(self.scored + other.scored, self.left + other.left, self.failed + other.failed)


class Online(Consequences):
    """The part of an app that scores runs that people asked for."""

    @property
    def samplings(self) -> Mapping[str, Sampling]:
        """Which runs are scored, by workflow.

        Raises:
            ConfigurationError: a workflow is not there, is named twice, or two of its evaluators have the same name.
        """
        found: dict[str, Sampling] = {}
        for one in self.evaluating.online:
            if one.workflow in found:
                raise ConfigurationError(f"the runs of {one.workflow!r} are sampled twice: write one Sampling")
            self.evaluating.of(self.workflow(one.workflow).name, one.evaluators)
            found[one.workflow] = one
        return found

    async def evaluate_online(self, *, since: datetime | None = None, at: datetime | None = None) -> Looked:
        """Score the sampled runs that have ended, unless another worker does; workers do so by themselves.

        Args:
            since: runs that began since are looked through too, seen or not; else those since the last look.
            at: what time it is; the app's clock says it if None.

        Raises:
            ConfigurationError: what the app samples cannot be.
            StoreError: the database refused; what was scored stays so.
        """
        total = Looked()
        for sampling in self.samplings.values():
            now = at or self.clock.now()
            begins = now - OVERLAP if since is None else since
            due = now if since is None else now + _LOOK  # whoever asks for it need not wait
            claim = partial(samples.claim, workflow=sampling.workflow, begins=begins, now=now, due=due)
            mine = await self.ledger.change(claim)
            if mine is None:
                continue
            keeping = asyncio.create_task(self._keep(sampling.workflow))
            try:
                await self._see(sampling, min(begins, mine.place - OVERLAP) if since else mine.place - OVERLAP)
                total += await self._score_ended(sampling, now)
            finally:
                keeping.cancel()
                let_go = partial(samples.let_go, workflow=sampling.workflow, next_at=now + _LOOK)
                await self.ledger.change(let_go)
        return total

    async def _keep(self, workflow: str) -> None:
        """Have the runs of a workflow to oneself until cancelled, however long a judge takes."""
        while True:
            await asyncio.sleep(samples.ALONE.total_seconds() / 3)
            with suppress(StoreError):
                await self.ledger.change(partial(samples.keep, workflow=workflow, now=self.clock.now()))

    async def _see(self, sampling: Sampling, begins: datetime) -> None:
        """Write down which runs that began since may be scored."""
        after = (begins, "")
        while found := await self.ledger.read(partial(samples.begun, workflow=sampling.workflow, after=after)):
            after = (found[-1].started_at, found[-1].run_id)
            drawn = [run for run in found if sampling.may_draw(run)]
            seen = partial(samples.seen, workflow=sampling.workflow, drawn=drawn, place=after[0])
            await self.ledger.change(seen)

    async def _score_ended(self, sampling: Sampling, now: datetime) -> Looked:
        """Score what has ended, some at once, until nothing is left."""
        scoring = await self._scoring(sampling, now)
        evaluators = self.evaluating.of(sampling.workflow, sampling.evaluators)
        total, done = Looked(), set[str]()
        room = asyncio.Semaphore(sampling.concurrency)

        async def one(run: RunRecord) -> Looked:
            async with room:
                return await self._score_one(scoring, evaluators, run, sampling)

        while found := await self.ledger.read(
            partial(samples.ended, workflow=sampling.workflow, but=done, most=_AT_ONCE)
        ):
            done |= {run.run_id for run in found}
            drawn = [run for run in found if sampling.draws(run)]
            if len(drawn) < len(found):
                left = {run.run_id for run in found} - {run.run_id for run in drawn}
                await self.ledger.change(partial(samples.drop, run_ids=left))
                total += Looked(left=len(left))
            for looked in await asyncio.gather(*map(one, drawn)):
                total += looked
        return total

    async def _scoring(self, sampling: Sampling, now: datetime) -> Scoring:
        limit = sampling.nano_usd_per_day
        if limit is not None:
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            spent = partial(samples.spent_on_judges, workflow=sampling.workflow, since=midnight)
            limit = max(0, limit - await self.ledger.read(spent))
        return Scoring(
            ledger=self.ledger, clock=self.clock, purse=Purse(limit), judge_named=self.workflow, run=self._run_for
        )

    async def _score_one(
        self, scoring: Scoring, evaluators: Sequence[Evaluator], run: RunRecord, sampling: Sampling
    ) -> Looked:
        """Score a run; what goes wrong with one evaluator is written down, and the others go on."""
        stratum, rate = sampling.stratum_of(run)
        attempts = await self.ledger.change(partial(samples.attempt, run_id=run.run_id))
        rows: list[ScoreRecord] = []
        troubles: list[str] = []
        try:
            if attempts > _MOST_ATTEMPTS:
                raise ConfigurationError(f"scoring it has ended {_MOST_ATTEMPTS} processes, or was stopped as often")
            trial = await trial_of(self.ledger, run.run_id)
            for evaluator in evaluators:
                try:
                    rows.append(await scoring.score(evaluator, trial))
                except BudgetExceeded:
                    troubles.append(f"{evaluator.name}: the judges' budget of the day is used up")
                except (StoreError, RunBusy):
                    raise
                except EngineError as error:
                    troubles.append(f"{evaluator.name}: {error}")
        except StoreError:
            raise
        except RunBusy:  # a judge of another process is at it: whoever comes next looks again
            return Looked()
        except EngineError as error:
            troubles.append(str(error))
        values = {
            "state": samples.SCORED if rows else samples.FAILED,
            "stratum": stratum,
            "rate": rate,
            "scored_at": self.clock.now(),
            "trouble": "; ".join(troubles) or None,
        }

        def write(connection: samples.Connection) -> None:
            experiments.write_scores(connection, rows)
            samples.settle(connection, run.run_id, values)

        await self.ledger.change(write)
        return Looked(scored=1) if rows else Looked(failed=1)

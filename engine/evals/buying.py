"""A gate that buys trials: it looks, buys where the trials do not tell, and looks once more, at one level over both."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from engine.errors import EngineError, InputError
from engine.eval_records import ExperimentRecord
from engine.evals.allocation import LOOKS, allocate
from engine.evals.case import Case
from engine.evals.experiments import Experimented, Plan
from engine.evals.gate import Decision, Gate, Policy, decide
from engine.evals.imports import Imports
from engine.evals.modes import changes_of
from engine.evals.purse import Purse


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What a gate came to that may buy trials.

    Attributes:
        gate: what it says at last.
        trials: how many trials were to be bought of each case, for each side; empty if the first look told.
        runs: how many trials of both sides were bought, now or when it was asked before.
        left_out: why one side has no more trials, as one whose code is gone.
        stopped: why not all were run; None if they were.
    """

    gate: Gate
    trials: Mapping[str, int] = field(default_factory=dict[str, int])
    runs: int = 0
    left_out: str | None = None
    stopped: str | None = None


class Buying(Imports):
    """The part of an app that buys trials for a gate."""

    async def gate_buying(
        self, baseline: str, candidate: str, policy: Policy | None = None, *, trials: int, plan: Plan | None = None
    ) -> Bought:
        """Say whether one experiment may take the place of another, after more trials where those there do not tell.

        Both looks together fail as rarely as the level says where nothing changed. What was bought before is not bought
        again, so a purchase that was cut is gone on with by asking again. What is bought counts in the gate only.

        Args:
            baseline: the experiment as it was.
            candidate: as it would be.
            policy: what the candidate has to come up to; `spends` is seen to.
            trials: how many more runs each side may have at the most.
            plan: how they are carried out, with what both sides may spend together.

        Raises:
            InputError: there is no such experiment, or the workflow of neither is what it was.
        """
        if trials < 1:
            raise InputError("a gate that buys trials buys one at least")
        plan, policy = plan or Plan(), policy or Policy()
        records = [await self.experiment_named(name) for name in (baseline, candidate)]
        before, after = [await self._side(record, planned_only=True) for record in records]
        first = decide(before, after, replace(policy, spends=LOOKS[0]))
        unclear = [one.name for one in first.metrics if one.decision is Decision.INCONCLUSIVE and one.cases]
        if first.decision is not Decision.INCONCLUSIVE or not unclear:
            return Bought(gate=first)
        wanted = allocate(before, after, unclear, trials)
        able, left_out = self._able(records)
        purse = Purse(plan.max_nano_usd)
        found = await asyncio.gather(*(self._buy(record, wanted, plan, purse) for record in able))
        before, after = [await self._side(record) for record in records]
        return Bought(
            gate=decide(before, after, replace(policy, spends=LOOKS[1])),
            trials=dict(wanted),
            runs=sum(one.done for one in found),
            left_out=left_out,
            stopped=next((one.stopped for one in found if one.stopped), None),
        )

    def _able(self, records: list[ExperimentRecord]) -> tuple[list[ExperimentRecord], str | None]:
        """Give those whose workflow is what it was, and why another is left out."""
        able: list[ExperimentRecord] = []
        why: list[str] = []
        for record in records:
            try:
                self._changed_workflow(record)
                able.append(record)
            except EngineError as error:
                why.append(str(error))
        if not able:
            raise InputError(f"no trials can be bought: {'; '.join(why)}")
        return able, next(iter(why), None)

    async def _buy(self, record: ExperimentRecord, wanted: Mapping[str, int], plan: Plan, purse: Purse) -> Experimented:
        _, cases = await self.cases_of(record)
        by_id = {case.case_id: case for case in cases}
        more: list[tuple[Case, int]] = [
            (by_id[case], record.trials + number)
            for case, many in wanted.items()
            if case in by_id
            for number in range(many)
        ]
        async with self.with_models(changes_of(record.settings).models) as cast:
            return await cast._carry_out(record, plan, more=sorted(more, key=lambda one: one[1]), purse=purse)

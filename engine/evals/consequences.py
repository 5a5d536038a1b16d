"""What follows from a FAIL: the release is taken back, and the cases that got worse are kept; both, or neither."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from engine.errors import InputError
from engine.eval_records import DatasetRecord
from engine.evals.calibration import Calibration
from engine.evals.case import Case
from engine.evals.datasets import rows_of
from engine.evals.gate import Decision, Gate, Side
from engine.replay_records import ReleaseRecord
from engine.store import datasets

TAG = "regression"
"""What kept cases are tagged with."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What was done.

    Attributes:
        release: what the name stands for now.
        dataset: the version of the dataset that has the cases.
        cases: those that got worse, new in the dataset or there before.
    """

    release: ReleaseRecord
    dataset: DatasetRecord
    cases: Sequence[Case]


class Consequences(Calibration):
    """The part of an app that acts on what a gate says."""

    async def take_back(
        self, gate: Gate, baseline: str, candidate: str, *, release: str, dataset: str, by: str | None = None
    ) -> TakenBack:
        """Have a release stand for what it stood for before, and keep the cases that got worse, in one transaction.

        Args:
            gate: a FAIL of these two experiments.
            baseline: the experiment before.
            candidate: the experiment that fails.
            release: the name that is rolled back.
            dataset: where the cases go, tagged `regression`.
            by: who says so.

        Raises:
            InputError: the gate did not fail, or the release never stood for anything else.
        """
        if gate.decision is not Decision.FAIL:
            raise InputError(f"the gate says {gate.decision}: nothing is taken back")
        before, after = [await self.experiment_named(name) for name in (baseline, candidate)]
        worse = worse_cases(gate, await self._side(before), await self._side(after))
        _, every = await self.cases_of(after)
        kept = [case.model_copy(update={"tags": (*case.tags, TAG)}) for case in every if case.case_id in worse]
        kept = [Case(**case.model_dump()) for case in kept]  # a case knows its own id
        pointing = await self.before(release, by=by, reason=f"the gate says FAIL: {gate.reasons[0]}")
        now = self.clock.now()

        def both(connection: datasets.Connection) -> DatasetRecord:
            pointing.carry_out(connection)
            return datasets.append(connection, dataset, lambda there: rows_of(dataset, kept, there, now), now)

        written = await self.ledger.change(both)
        self.forget_standing()
        return TakenBack(pointing.release, written, kept)


def worse_cases(gate: Gate, baseline: Side, candidate: Side) -> set[str]:
    """Give the cases whose mean fell by a metric that fails, and those that must pass and do not."""
    found = {one.name.removeprefix("case ") for one in gate.limits if one.decision is Decision.FAIL}
    for metric in gate.metrics:
        if metric.decision is Decision.FAIL:
            before, after = baseline.metrics[metric.name], candidate.metrics[metric.name]
            found |= {
                case for case in before if before[case] and after.get(case) and fmean(after[case]) < fmean(before[case])
            }
    return found

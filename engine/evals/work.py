"""The work of an experiment: a trial is run once, and scored by every evaluator."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from engine.definition.workflow import Workflow
from engine.eval_records import EXPERIMENT, ExperimentRecord
from engine.evals.case import Case
from engine.evals.evaluators import Evaluator
from engine.evals.scoring import Scoring
from engine.evals.trial import trial_of
from engine.store import experiments as stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Work(Scoring):
    """Runs and scores the trials of one experiment.

    Attributes:
        workflow: with the changes of the experiment; None if trials that were not run are left out, so that only
            scores are made anew.
    """

    record: ExperimentRecord
    workflow: Workflow | None
    evaluators: Sequence[Evaluator]

    async def do(self, case: Case, number: int) -> bool:
        """Run and score a trial, and say whether it was.

        Raises:
            BudgetExceeded: what is left does not suffice.
        """
        run_id, is_run = await self.place(self.record.experiment_id, case.case_id, number)
        if not is_run:
            if self.workflow is None:
                return False
            await self.run_within(self.workflow, dict(case.input), run_id, EXPERIMENT, case.run_id)
        trial = await trial_of(self.ledger, run_id, case)
        of_it = {"experiment_id": self.record.experiment_id, "case_id": trial.case.case_id, "trial": number}
        rows = [await self.score(evaluator, trial, **of_it) for evaluator in self.evaluators]
        await self.ledger.change(partial(stored.write_scores, rows=rows))
        return True

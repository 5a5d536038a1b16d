"""Scoring: an evaluator looks at a trial, and asks judges within a purse, each question once."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from engine.definition.workflow import Workflow
from engine.errors import ConfigurationError, EngineError
from engine.eval_records import JUDGE, ScoreRecord
from engine.evals.evaluators import Evaluator
from engine.evals.purse import Purse
from engine.evals.trial import Trial
from engine.payloads import digest
from engine.ports import Clock
from engine.records import RunStatus
from engine.runtime.result import RunResult
from engine.store.ledger import SqlLedger

UNFINISHED = (RunStatus.RUNNING, RunStatus.CANCELLED, RunStatus.QUEUED)
"""How a run stands that can be gone on with by itself."""

RunFor = Callable[[Workflow, Mapping[str, Any], str, str, str | None], Awaitable[RunResult]]
"""Runs a workflow under an id, or gives how the run of that id ended: workflow, input, id, origin, parent run."""


def run_id_of(*told: Any, number: int = 0) -> str:
    """Give the id of the run that stands for what is told, as for a trial of a case of an experiment."""
    return digest([*told, number])[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Scores trials.

    Attributes:
        purse: what judges may spend.
        judge_named: gives the workflow of a name.
        run: runs one.
    """

    ledger: SqlLedger
    clock: Clock
    purse: Purse
    judge_named: Callable[[str], Workflow]
    run: RunFor

    async def place(self, *told: Any) -> tuple[str, bool]:
        """Give the id of the run that stands for what is told, and whether that has come to an end.

        One that was cut before its input was accepted cannot be gone on with: another stands for it.
        """
        for number in count():
            run_id = run_id_of(*told, number=number)
            known = next(iter(await self.ledger.known([run_id])), None)
            if known is None or known.status not in UNFINISHED:
                return run_id, known is not None
            if known.input_payload is not None:
                return run_id, False
        raise AssertionError("numbers do not end")

    async def run_within(
        self, workflow: Workflow, given: Mapping[str, Any], run_id: str, origin: str, parent: str | None
    ) -> RunResult:
        """Run a workflow if the purse holds the most that it may spend.

        Raises:
            BudgetExceeded: what is left does not suffice.
        """
        async with self.purse.hold(workflow) as held:
            result = await self.run(workflow, given, run_id, origin, parent)
            if result.cost_usd is not None:
                held.nano_usd = int(result.cost_usd * 10**9)
            return result

    async def score(self, evaluator: Evaluator, trial: Trial, /, **of_experiment: Any) -> ScoreRecord:
        """Have an evaluator look at a trial, and give the row; `of_experiment` says which trial of which case it is.

        Raises:
            BudgetExceeded: what is left does not suffice for a judge.
            ConfigurationError: the evaluator raised something, or says no score.
        """
        run_id = trial.run.run_id

        async def ask(workflow: str, given: Mapping[str, Any], key: str) -> RunResult:
            judge = self.judge_named(workflow)
            judge_id, is_run = await self.place(run_id, judge.version, dict(given), key)
            if is_run:  # it was asked before, and costs nothing now
                return await self.run(judge, given, judge_id, JUDGE, run_id)
            return await self.run_within(judge, given, judge_id, JUDGE, run_id)

        try:
            score = await evaluator.evaluate(trial, ask)
        except EngineError:
            raise
        except Exception as error:  # whatever code of others raises
            raise ConfigurationError(
                f"the evaluator {evaluator.name} raised {type(error).__name__} over the run {run_id}: {error}"
            ) from error
        return ScoreRecord(
            run_id=run_id,
            evaluator=evaluator.name,
            evaluator_version=evaluator.version,
            deterministic=evaluator.is_deterministic,
            created_at=self.clock.now(),
            score=score.score,
            value=score.value,
            explanation=score.explanation,
            judge_run_id=score.judge_run_id,
            **of_experiment,
        )

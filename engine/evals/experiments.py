"""Experiments: a workflow over the cases of a dataset, several times each, scored; they can be gone on with."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from engine.definition.workflow import Workflow
from engine.errors import BudgetExceeded, EngineError, InputError
from engine.eval_records import EXPERIMENT, DatasetRecord, ExperimentRecord, ScoreRecord
from engine.evals.case import Case
from engine.evals.datasets import Datasets
from engine.evals.evaluators import Evaluator, Found, Succeeded
from engine.evals.gate import Gate, Policy, Side, decide
from engine.evals.modes import Mode, changes_of, mode_of, refuse_unfit, refuse_unrecorded, settings_of, up_to_passages
from engine.evals.purse import Purse
from engine.evals.scoring import UNFINISHED
from engine.evals.sides import side_of
from engine.evals.summary import MetricRow, summarise
from engine.evals.work import Work
from engine.runtime.origin import Origin
from engine.runtime.provenance import engine_version, git_commit
from engine.runtime.result import RunResult
from engine.store import experiments as stored

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How an experiment is carried out.

    Attributes:
        evaluators: what scores besides those of the app.
        concurrency: how many trials are in progress at once.
        max_nano_usd: what it may spend from now on, judges included; None for no limit.
        on_progress: is told how many trials are done, of how many.
    """

    evaluators: Sequence[Any] = ()
    concurrency: int = 4
    max_nano_usd: int | None = None
    on_progress: OnProgress = field(default=lambda done, total: None)


@dataclass(frozen=True, slots=True)
class Experimented:
    """What an experiment came to.

    Attributes:
        record: its row; `ended_at` is None while something is left to do.
        done: trials that were run and scored, of so many in `total`.
        stopped: why it stopped before its end; None if it did not.
    """

    record: ExperimentRecord
    done: int
    total: int
    stopped: str | None


class Experiments(Datasets):
    """The part of an app that tries workflows on datasets."""

    async def experiment(
        self,
        workflow: str,
        dataset: str,
        *,
        trials: int = 1,
        version: str | None = None,
        split: str | None = None,
        settings: Sequence[str] = (),
        name: str | None = None,
        mode: Mode = Mode.WHOLE,
        plan: Plan | None = None,
    ) -> Experimented:
        """Run a workflow over the cases of a dataset, and score the runs.

        Args:
            workflow: its name.
            dataset: its name.
            trials: how often each case is run.
            version: of the dataset; the newest if not given.
            split: which of the cases; all if not given.
            settings: what is other than the app's, as `--set` takes it; models of roles are the app's business.
            name: to find the experiment by.
            mode: whether runs are whole, or answered from the recorded runs that the cases were made of, which asks
                nobody; or whether only retrievers are tried, up to where a model would be asked.
            plan: how it is carried out.

        Raises:
            InputError: there is no such dataset, an input of it does not fit the workflow, or a setting is none.
            ConfigurationError: there is no such workflow, a model of it cannot be asked, or an evaluator says no score.
        """
        if trials < 1:
            raise InputError("an experiment has at least one trial of each case")
        if mode is Mode.RECORDED and trials > 1:
            raise InputError("what is recorded is the same each time: a recorded experiment has one trial of each case")
        said = settings_of(settings, mode)
        changed = self._as_tried(workflow, said)
        found, cases = await self.dataset(dataset, version=version, split=split)
        if mode is Mode.RECORDED:
            refuse_unrecorded(cases)
        refuse_unfit(cases, changed)
        record = ExperimentRecord(
            experiment_id=self.clock.new_run_id(),
            workflow=workflow,
            version=changed.version,
            dataset=dataset,
            dataset_version=found.version,
            trials=trials,
            settings=said,
            created_at=self.clock.now(),
            split=split,
            name=name,
        )
        plan = plan or Plan()
        self.evaluating.of(workflow, plan.evaluators)  # what cannot be is said before anything is written
        await self.ledger.change(partial(stored.begin, record=record))
        return await self._carry_out(record, plan)

    async def go_on_with(self, experiment: str, plan: Plan | None = None) -> Experimented:
        """Do what an experiment has left to do; runs that came to an end are not run again.

        Raises:
            InputError: there is no such experiment, or its workflow is not what it was.
        """
        return await self._carry_out(await self.experiment_named(experiment), plan or Plan())

    async def rescore(self, experiment: str, plan: Plan | None = None) -> Experimented:
        """Score the runs of an experiment anew, and run none; judges that were asked before are not asked again.

        Raises:
            InputError: there is no such experiment.
        """
        record = await self.experiment_named(experiment)
        return await self._carry_out(record, plan or Plan(), runs_nothing=True)

    async def experiment_named(self, name: str) -> ExperimentRecord:
        """Give the experiment of an id, of a beginning or end of one, or the newest of a name.

        Raises:
            InputError: there is none, or several fit.
        """
        return await self.ledger.read(partial(stored.named, name=name))

    async def experiments(self, limit: int = 50) -> Sequence[ExperimentRecord]:
        """Give experiments, the newest first."""
        return await self.ledger.read(partial(stored.latest, limit=limit))

    async def cases_of(self, record: ExperimentRecord) -> tuple[DatasetRecord, Sequence[Case]]:
        """Give the cases of an experiment, as they were when it began."""
        return await self.dataset(record.dataset, version=record.dataset_version, split=record.split)

    async def metrics_of(self, record: ExperimentRecord) -> Sequence[MetricRow]:
        """Give the metrics of an experiment, with where they lie."""
        scores = await self.ledger.read(partial(stored.scores_of, experiment_id=record.experiment_id))
        _, cases = await self.cases_of(record)
        scores = [one for one in scores if _is_planned(one, record)]
        return summarise(scores, {case.case_id: case.cluster for case in cases if case.cluster is not None})

    async def gate(self, baseline: str, candidate: str, policy: Policy | None = None) -> Gate:
        """Say whether one experiment may take the place of another, from what is recorded; nothing is run.

        Raises:
            InputError: there is no such experiment.
        """
        before, after = [await self.experiment_named(name) for name in (baseline, candidate)]
        return decide(await self._side(before), await self._side(after), policy)

    async def _side(self, record: ExperimentRecord, *, planned_only: bool = False) -> Side:
        scores = await self.ledger.read(partial(stored.scores_of, experiment_id=record.experiment_id))
        scores = [one for one in scores if _is_planned(one, record)] if planned_only else scores
        rows = await self.ledger.read(partial(stored.runs_of, experiment_id=record.experiment_id))
        _, cases = await self.cases_of(record)
        return side_of(scores, rows, cases)

    async def _carry_out(
        self,
        record: ExperimentRecord,
        plan: Plan,
        *,
        runs_nothing: bool = False,
        more: Sequence[tuple[Case, int]] | None = None,
        purse: Purse | None = None,
    ) -> Experimented:
        """Do the trials of an experiment, or `more` that were bought; what was run before is not run again."""
        work = Work(
            ledger=self.ledger,
            clock=self.clock,
            record=record,
            workflow=None if runs_nothing else self._changed_workflow(record),
            evaluators=self._evaluators(record, plan),
            purse=purse or Purse(plan.max_nano_usd),
            judge_named=self.workflow,
            run=self._replay_for if mode_of(record.settings) is Mode.RECORDED else self._run_for,
        )
        _, cases = await self.cases_of(record)
        left = [(case, trial) for trial in range(record.trials) for case in cases] if more is None else list(more)
        total, done, stopped = len(left), 0, list[str]()
        left.reverse()

        async def take_turns() -> None:
            nonlocal done
            while left and not stopped:
                case, number = left.pop()
                try:
                    was_done = await work.do(case, number)
                    done += was_done  # others counted meanwhile
                except BudgetExceeded as error:
                    stopped.append(str(error))
                plan.on_progress(done, total)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(max(1, plan.concurrency)):
                    group.create_task(take_turns())
        except* EngineError as several:
            raise several.exceptions[0] from None  # one sentence says it
        ended = self.clock.now() if done == total else None
        if more is None and (record.ended_at is None or ended is None):
            await self.ledger.change(partial(stored.end, experiment_id=record.experiment_id, ended_at=ended))
        return Experimented(await self.experiment_named(record.experiment_id), done, total, next(iter(stopped), None))

    def _changed_workflow(self, record: ExperimentRecord) -> Workflow:
        workflow = self._as_tried(record.workflow, record.settings)
        if workflow.version != record.version:
            raise InputError(
                f"the workflow {record.workflow!r} is not what it was when the experiment {record.experiment_id} "
                "began: begin another one"
            )
        return workflow

    def _as_tried(self, name: str, settings: Sequence[str]) -> Workflow:
        workflow = changes_of(settings).applied_to(self.workflow(name))
        return up_to_passages(workflow) if mode_of(settings) is Mode.RETRIEVAL_ONLY else workflow

    def _evaluators(self, record: ExperimentRecord, plan: Plan) -> list[Evaluator]:
        """Give what scores the trials; where only retrievers were tried, what looks at passages."""
        every = self.evaluating.of(record.workflow, plan.evaluators)
        if mode_of(record.settings) is Mode.RETRIEVAL_ONLY:
            return [one for one in every if isinstance(one, Found | Succeeded)]
        return every

    async def _replay_for(
        self, workflow: Workflow, given: Mapping[str, Any], run_id: str, origin: str, parent: str | None
    ) -> RunResult:
        """Give what a trial comes to with the answers of the run that its case was made of; judges are asked."""
        if origin != EXPERIMENT or parent is None:
            return await self._run_for(workflow, given, run_id, origin, parent)
        return (await self.replay(parent, workflow=workflow, new_run_id=run_id)).result

    async def _run_for(
        self, workflow: Workflow, given: Mapping[str, Any], run_id: str, origin: str, parent: str | None
    ) -> RunResult:
        """Give how the run of an id ended, which is run, or gone on with, where it has not come to an end."""
        bundle = self._bundle(workflow)
        known = next(iter(await self.ledger.known([run_id])), None)
        if known is None:
            of = Origin(origin=origin, parent_run_id=parent, engine_version=engine_version(), git_commit=git_commit())
            return await self._running().run(workflow, given, bundle=bundle, origin=of, run_id=run_id)
        if known.status in UNFINISHED:
            return await self._running().resume(workflow, run_id, bundle=bundle)
        return await self.result_of(known)


def _is_planned(score: ScoreRecord, record: ExperimentRecord) -> bool:
    """Whether a trial is not one that a gate bought: those are of chosen cases, so no plain mean may count them."""
    return score.trial is None or score.trial < record.trials

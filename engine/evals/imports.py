"""Imports: trajectories that were recorded elsewhere become runs of the ledger, and an experiment with their scores."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from engine.definition.guardrail import redacted
from engine.errors import InputError
from engine.eval_records import IMPORT, CaseRecord, ExperimentRecord, ScoreRecord
from engine.evals.case import Case
from engine.evals.datasets import row_of
from engine.evals.experiments import Experiments
from engine.evals.import_rows import Rows
from engine.evals.scoring import run_id_of
from engine.evals.trajectories import Trajectory
from engine.payloads import digest
from engine.store import datasets, experiments

_GUARDED = ("input", "messages", "output", "expect", "error")
"""What of a trajectory guardrails that redact see."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of trajectories that were imported.

    Attributes:
        record: the experiment that they are.
        runs: how many runs were written, and how many were there before in `known`.
        refused: why the guardrails that redact wanted a trajectory left out.
    """

    record: ExperimentRecord
    runs: int
    known: int
    refused: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Try:
    """A trajectory as a trial of a case."""

    trajectory: Trajectory
    case: Case
    trial: int


class Imports(Experiments):
    """The part of an app that takes in what was recorded elsewhere."""

    async def import_trajectories(
        self,
        trajectories: Sequence[Trajectory],
        *,
        name: str,
        workflow: str = "imported",
        dataset: str | None = None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Imported:
        """Write trajectories down as runs with outcomes, and as an experiment: a case a task, a trial a trajectory.

        Guardrails that redact see them before they are written. The same trajectories under the same name are the same
        runs, so an import that was cut is done again.

        Args:
            trajectories: in any order; trials of a case are counted in this order.
            name: of the experiment.
            workflow: what the agent is called in reports; it need not be one of the app.
            dataset: where the cases go; else one named by the experiment.
            on_progress: is told how many runs are written, of how many.

        Raises:
            InputError: a name is empty, a message is none, or no trajectory may be kept.
            StoreError: the database refused.
        """
        if not name.strip() or not workflow.strip():
            raise InputError("an import has a name, and so has the agent whose trajectories they are")
        tries, refused = await self._tries(trajectories)
        if not tries:
            raise InputError(f"there is no trajectory to keep: {'; '.join(refused)}")
        record = await self._begin(tries, name, workflow, dataset or name)
        ids = [run_id_of(record.experiment_id, one.case.case_id, one.trial) for one in tries]
        known = {run.run_id for at in range(0, len(ids), 500) for run in await self.ledger.known(ids[at : at + 500])}
        for done, (run_id, one) in enumerate(zip(ids, tries, strict=True), 1):
            if run_id not in known:
                rows = Rows(
                    trajectory=one.trajectory,
                    run_id=run_id,
                    workflow=workflow,
                    version=record.version,
                    now=self.clock.now(),
                )
                await self.ledger.commit(rows.all())
            await self.ledger.change(partial(experiments.write_scores, rows=self._scores(record, run_id, one)))
            on_progress(done, len(tries))
        if record.ended_at is None:
            ended = partial(experiments.end, experiment_id=record.experiment_id, ended_at=self.clock.now())
            await self.ledger.change(ended)
        return Imported(await self.experiment_named(record.experiment_id), len(ids) - len(known), len(known), refused)

    async def _tries(self, trajectories: Sequence[Trajectory]) -> tuple[list[_Try], list[str]]:
        """Give what may be kept, redacted, as trials of cases; and why the rest may not."""
        kept: list[_Try] = []
        refused: list[str] = []
        counts = Counter[str]()
        for one in trajectories:
            said = one.model_dump(mode="json", include=set(_GUARDED))
            guarded, why = await redacted(said, self.evaluating.redact)
            if why is not None:
                refused.append(f"task {one.task}: {why}")
                continue
            clean = one if guarded == said else Trajectory(**(one.model_dump(mode="json") | guarded))
            case = clean.case
            kept.append(_Try(clean, case, counts[case.case_id]))
            counts[case.case_id] += 1
        return kept, refused

    async def _begin(self, tries: Sequence[_Try], name: str, workflow: str, dataset: str) -> ExperimentRecord:
        """Write the cases and the experiment down; give it as it stands if it is there."""
        now = self.clock.now()
        cases = {one.case.case_id: one.case for one in tries}

        def new(there: Sequence[CaseRecord]) -> list[CaseRecord]:
            known = {row.case_id for row in there}
            return [row_of(dataset, case, now) for case_id, case in cases.items() if case_id not in known]

        every = [one.trajectory.model_dump(mode="json") for one in tries]
        identity = digest([name, workflow, dataset, every])[:32]

        def begin(connection: datasets.Connection) -> ExperimentRecord:
            kept = datasets.append(connection, dataset, new, now)
            record = ExperimentRecord(
                experiment_id=identity,
                workflow=workflow,
                version=digest([IMPORT, workflow, sorted({one.trajectory.model or "" for one in tries})]),
                dataset=dataset,
                dataset_version=kept.version,
                trials=max(one.trial for one in tries) + 1,
                settings=[],
                created_at=now,
                name=name,
            )
            there = experiments.with_id(connection, identity)
            if there is None:
                experiments.begin(connection, record)
            return there or record

        return await self.ledger.change(begin)

    def _scores(self, record: ExperimentRecord, run_id: str, one: _Try) -> list[ScoreRecord]:
        return [
            ScoreRecord(
                run_id=run_id,
                evaluator=name,
                evaluator_version=IMPORT,
                deterministic=True,
                created_at=self.clock.now(),
                score=score,
                experiment_id=record.experiment_id,
                case_id=one.case.case_id,
                trial=one.trial,
            )
            for name, score in one.trajectory.worth.items()
        ]


def to_json(imported: Imported) -> dict[str, Any]:
    """Give what became of an import as JSON."""
    return asdict(imported.record) | {
        "runs": imported.runs,
        "known": imported.known,
        "refused": list(imported.refused),
    }

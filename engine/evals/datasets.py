"""Datasets: cases made of recorded runs or of files, redacted, without near-duplicates, a version at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from engine.definition.guardrail import Guardrail, redacted
from engine.errors import InputError
from engine.eval_records import CaseRecord, DatasetRecord
from engine.evals.alike import Alike
from engine.evals.case import Case, case_of, texts_of
from engine.evals.evaluation import Evaluation
from engine.evals.outcomes import Outcomes
from engine.evals.trial import Trial, trials_of
from engine.store import datasets as stored

ALIKE = 0.85
"""How alike two inputs are that count as one."""


@dataclass(frozen=True, slots=True)
class Added:
    """What became of cases that were to be added.

    Attributes:
        dataset: the version that the dataset has now.
        added: the ids of new cases.
        merged: how many were nearly the same as one that is there.
        refused: why the guardrails that redact wanted a case left out.
    """

    dataset: DatasetRecord
    added: Sequence[str]
    merged: int
    refused: Sequence[str]


class Datasets(Outcomes):
    """The part of an app that keeps datasets."""

    @property
    def evaluating(self) -> Evaluation:
        """What the app evaluates with."""
        return self.evaluation or Evaluation()

    async def add_cases(self, dataset: str, cases: Iterable[Case], *, alike: float = ALIKE) -> Added:
        """Add cases to a dataset, after the guardrails that redact; what is nearly the same as another is left out.

        Args:
            dataset: its name; it is made with its first case.
            cases: as they are.
            alike: how alike two inputs are that count as one, from 0 to 1, if they expect the same.

        Raises:
            InputError: the name is empty, or `alike` is no share.
            StoreError: the database refused; nothing is added.
        """
        if not dataset.strip() or not 0 < alike <= 1:
            raise InputError("a dataset has a name, and inputs are alike by a share above 0, up to 1")
        refused: list[str] = []
        kept: list[Case] = []
        for case in cases:
            clean, why = await _clean(case, self.evaluating.redact)
            kept += [clean] if why is None else []
            refused += [why] if why is not None else []
        chosen: list[CaseRecord] = []
        now = self.clock.now()

        def choose(there: Sequence[CaseRecord]) -> Sequence[CaseRecord]:
            chosen[:] = rows_of(dataset, kept, there, now, alike)
            return chosen

        if not kept:
            raise InputError(f"there is no case to add to {dataset!r}{': ' if refused else ''}{'; '.join(refused)}")
        record = await self.ledger.change(partial(stored.append, name=dataset, choose=choose, now=now))
        return Added(record, [case.case_id for case in chosen], len(kept) - len(chosen), refused)

    async def cases_from_runs(
        self, runs: Iterable[str], *, expect: Sequence[str] = (), **fields: Any
    ) -> Sequence[Case]:
        """Make a case of each run: what it was given, what it came to, and where it is from.

        Args:
            runs: the ids, or beginnings or ends of them.
            expect: the fields of its output that later runs are to come to as well.
            fields: what else the cases say: split, tags, must_pass.

        Raises:
            InputError: there is no such run, it had no input, or its output has no such field.
        """
        named = list(runs)
        known = {run.run_id: run for run in await self.ledger.known(named)}
        found = [known.get(name) or await self.ledger.run(name) for name in named]
        return [self._case(trial, expect, fields) for trial in await trials_of(self.ledger, found)]

    def _case(self, trial: Trial, expect: Sequence[str], fields: Mapping[str, Any]) -> Case:
        run = trial.run
        if run.input_payload is None:
            raise InputError(f"the run {run.run_id} was refused before it began: there is no case in it")
        if missing := [name for name in expect if name not in trial.output]:
            there = ", ".join(trial.output) or "empty"
            raise InputError(f"the run {run.run_id} has no {', '.join(missing)} in its output, which is {there}")
        return Case(
            input=trial.case.input,
            expect={name: trial.output[name] for name in expect} or None,
            recorded=trial.recorded(),
            cluster=run.conversation_id,
            run_id=run.run_id,
            workflow=run.workflow,
            version=run.version,
            **fields,
        )

    async def runs_where(
        self, conditions: Mapping[str, str], *, since: datetime | None = None, limit: int = 1_000
    ) -> Sequence[str]:
        """Give the ids of the newest runs that fit: status, workflow, version, tenant, user, outcome.

        Raises:
            InputError: a condition is not known.
        """
        choose = partial(stored.runs_where, conditions=conditions, since=since, limit=limit)
        return await self.ledger.read(choose)

    async def datasets(self) -> Sequence[tuple[DatasetRecord, int]]:
        """Give the newest version of each dataset, and how many versions it has had."""
        return await self.ledger.read(stored.latest_datasets)

    async def dataset(
        self, name: str, *, version: str | None = None, split: str | None = None
    ) -> tuple[DatasetRecord, Sequence[Case]]:
        """Give a version of a dataset, the newest if none is named, and its cases.

        Raises:
            InputError: there is no such dataset or version, or no case of the split.
        """
        record = await self.ledger.read(partial(stored.dataset_named, name=name, version=version))
        rows = await self.ledger.read(partial(stored.cases_of, name=name, most=record.cases))
        found = [case_of(row) for row in rows if split in (None, row.split)]
        if not found:
            raise InputError(f"the dataset {name!r} has no case of the split {split!r}")
        return record, found


async def _clean(case: Case, guardrails: Sequence[Guardrail]) -> tuple[Case, str | None]:
    """Give a case as it may be kept; or why it may not."""
    said = {"input": dict(case.input), "expect": case.expect, "recorded": case.recorded}
    clean, why = await redacted(said, guardrails)
    return (case if why is not None else Case(**(case.model_dump(mode="json") | clean))), why


def rows_of(
    dataset: str, cases: Sequence[Case], there: Sequence[CaseRecord], now: datetime, alike: float = ALIKE
) -> list[CaseRecord]:
    """Give the rows of the cases that are not nearly the same as one that is there, or as one before them."""
    seen = Alike(alike)
    for case in map(case_of, there):
        seen.add(case.case_id, case.input, case.expect)
    rows: list[CaseRecord] = []
    for case in cases:
        if seen.find(case.input, case.expect) is None:
            seen.add(case.case_id, case.input, case.expect)
            rows.append(row_of(dataset, case, now))
    return rows


def row_of(dataset: str, case: Case, now: datetime) -> CaseRecord:
    """Give the row of a case; the store says which place it has."""
    return CaseRecord(
        dataset=dataset,
        case_id=case.case_id,
        position=0,
        added_at=now,
        source=case.source,
        split=case.split,
        tags=list(case.tags),
        must_pass=case.must_pass,
        cluster=case.cluster,
        run_id=case.run_id,
        workflow=case.workflow,
        version=case.version,
        **texts_of(case),
    )

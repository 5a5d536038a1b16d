"""What the ledger keeps of evaluations: datasets and their cases, experiments, and scores of runs.

Cases are frozen: what a case says never changes, and a dataset only grows, a version at a time.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

EXPERIMENT, JUDGE = "experiment", "judge"
"""Where runs of experiments, and runs that judge other runs, come from, in `runs.origin`."""

IMPORT = "import"
"""What `runs.origin` says of runs that were recorded elsewhere, and the source of their outcomes."""


@dataclass(slots=True, kw_only=True)
class DatasetRecord:
    """A version of a dataset: its first so many cases.

    Attributes:
        version: the sha256 of these cases, in order.
        cases: how many they are.
    """

    name: str
    version: str
    cases: int
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class CaseRecord:
    """One case, by the sha256 of what it says; JSON stands in place, so that it outlives the run that it was made of.

    Attributes:
        position: its place in the dataset, counted from 0.
        input: what a run of it is given, JSON.
        expected: what a good run comes to, JSON; None if nobody said.
        recorded: what the run that it was made of came to, JSON: status, output, tools, passages.
        cluster: cases of one cluster may go alike, as those about one document.
        must_pass: whether a gate fails where it does.
        source: run or file.
        run_id: the run that it was made of, with its workflow and version.
    """

    dataset: str
    case_id: str
    position: int
    input: str
    added_at: datetime
    source: str
    split: str
    tags: list[Any]
    must_pass: bool = False
    expected: str | None = None
    recorded: str | None = None
    cluster: str | None = None
    run_id: str | None = None
    workflow: str | None = None
    version: str | None = None


@dataclass(slots=True, kw_only=True)
class ExperimentRecord:
    """A workflow over the cases of a dataset, so many times each.

    Attributes:
        version: of the workflow as it ran, with its changes.
        settings: what was changed, as `--set` takes it.
        split: which of the cases; None for all.
        trials: how often each case is run.
        ended_at: when every trial had been scored; None while something is left to do.
    """

    experiment_id: str
    workflow: str
    version: str
    dataset: str
    dataset_version: str
    trials: int
    settings: list[Any]
    created_at: datetime
    split: str | None = None
    name: str | None = None
    ended_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class ScoreRecord:
    """What an evaluator says of a run.

    Attributes:
        score: from 0 (bad) to 1 (good); None where the evaluator does not apply.
        value: what was measured, where the score is made of a number.
        evaluator_version: the sha256 of its settings and its code.
        experiment_id: the experiment, with the case and the trial, where the run is of one.
        judge_run_id: the run that judged, whose cost the ledger has.
    """

    run_id: str
    evaluator: str
    evaluator_version: str
    deterministic: bool
    created_at: datetime
    score: float | None = None
    value: float | None = None
    explanation: str | None = None
    experiment_id: str | None = None
    case_id: str | None = None
    trial: int | None = None
    judge_run_id: str | None = None

"""What an experiment came to: the mean of each metric with where it lies, and how steady cases are over trials."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.eval_records import ScoreRecord
from engine.statistics.intervals import Mean, clustered_mean
from engine.statistics.trials import pass_hat_k


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """One metric of an experiment.

    Attributes:
        mean: of the scores, with its error by clusters of cases; None where it applied to no trial.
        cases: how many cases it applied to, and `trials` how many trials.
        left_out: trials to which it did not apply, or of which a judge could not tell.
        pass_hat: the chance that k trials of a case all succeed, for k from 1; empty unless scores are 0 or 1.
        flaky: cases that passed in some trials, and not in all.
    """

    name: str
    deterministic: bool
    mean: Mean | None
    cases: int
    trials: int
    left_out: int
    pass_hat: Sequence[float]
    flaky: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        mean = self.mean
        return {
            "metric": self.name,
            "deterministic": self.deterministic,
            "mean": None if mean is None else mean.value,
            "error": None if mean is None else mean.error,
            "interval": None if mean is None else mean.interval().to_json(),
            "cases": self.cases,
            "trials": self.trials,
            "left_out": self.left_out,
            "pass_hat": list(self.pass_hat),
            "flaky": list(self.flaky),
        }


def summarise(scores: Sequence[ScoreRecord], clusters: Mapping[str, str]) -> list[MetricRow]:
    """Add up the scores of an experiment by metric; `clusters` says which cluster a case is of, else it is its own."""
    by_metric: dict[str, list[ScoreRecord]] = defaultdict(list)
    for score in scores:
        by_metric[score.evaluator].append(score)
    return [_row(name, found, clusters) for name, found in sorted(by_metric.items())]


def _row(name: str, scores: Sequence[ScoreRecord], clusters: Mapping[str, str]) -> MetricRow:
    by_case: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        if score.score is not None and score.case_id is not None:
            by_case[score.case_id].append(score.score)
    values = [value for found in by_case.values() for value in found]
    keys = [clusters.get(case, case) for case, found in by_case.items() for _ in found]
    is_binary = all(value in (0, 1) for value in values)
    counts = [(round(sum(found)), len(found)) for found in by_case.values()] if is_binary else []
    most = max((trials for _, trials in counts), default=0)
    steady = (pass_hat_k(counts, k) for k in range(1, most + 1))
    return MetricRow(
        name=name,
        deterministic=scores[0].deterministic,
        mean=clustered_mean(values, keys) if values else None,
        cases=len(by_case),
        trials=len(values),
        left_out=len(scores) - len(values),
        pass_hat=[share for share in steady if share is not None],
        flaky=[case for case, found in by_case.items() if is_binary and 0 < sum(found) < len(found)],
    )

"""One side of a gate, read from the scores and runs of an experiment."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from engine.eval_records import ScoreRecord
from engine.evals.case import Case
from engine.evals.gate import Side


def side_of(scores: Sequence[ScoreRecord], runs: Sequence[Any], cases: Sequence[Case]) -> Side:
    """Give what an experiment came to, by metric and case."""
    metrics: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    case_of: dict[str, str] = {}
    for score in scores:
        if score.case_id is None:
            continue
        case_of[score.run_id] = score.case_id
        if score.score is not None:
            metrics[score.evaluator][score.case_id].append(score.score)
    seconds: dict[str, list[float]] = defaultdict(list)
    usd: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        if run.run_id in case_of:
            took, cost = run.duration_ns, run.cost_nano_usd
            seconds[case_of[run.run_id]] += [] if took is None else [took / 1e9]
            usd[case_of[run.run_id]].append(math.nan if cost is None else cost / 1e9)
    return Side(
        metrics={name: dict(by_case) for name, by_case in metrics.items()},
        judged=frozenset(score.evaluator for score in scores if not score.deterministic),
        clusters={case.case_id: case.cluster for case in cases if case.cluster is not None},
        must_pass=frozenset(case.case_id for case in cases if case.must_pass),
        seconds=dict(seconds),
        usd=dict(usd),
    )

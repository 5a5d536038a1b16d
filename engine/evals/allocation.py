"""Which cases more trials are bought of: those where they make the difference of the means surest."""

import heapq
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from engine.evals.gate import Side

LOOKS = (0.5, 0.5)
"""The shares of the level that a gate which may buy trials spends: before it buys, and after."""


def allocate(baseline: Side, candidate: Side, metrics: Sequence[str], trials: int) -> Counter[str]:
    """Say how many more trials of each case each side should have, of so many in all.

    Each goes to the case where it takes most off the variance of the difference of the means. How much the trials of a
    case vary is read off both sides together, so that which side passed decides nothing: dealing the trials out to the
    sides again, as the gate does, leads to the same purchase, and its test stays what it says.
    """
    cases = {case for name in metrics for case in baseline.metrics[name] if candidate.metrics[name].get(case)}
    heap: list[tuple[float, str, int, float]] = []
    for case in sorted(cases):
        pools = [[*baseline.metrics[name].get(case, ()), *candidate.metrics[name].get(case, ())] for name in metrics]
        spread = fmean(_variance(pool) for pool in pools)
        had = max(1, max(map(len, pools)) // 2)
        heap.append((-_gain(spread, had), case, had, spread))
    heapq.heapify(heap)
    bought = Counter[str]()
    for _ in range(trials if heap else 0):
        _, case, had, spread = heap[0]
        bought[case] += 1
        heapq.heapreplace(heap, (-_gain(spread, had + 1), case, had + 1, spread))
    return bought


def _gain(spread: float, trials: int) -> float:
    """Give what one more trial takes off the variance of the mean of a case."""
    return spread / trials - spread / (trials + 1)


def _variance(scores: Sequence[float]) -> float:
    """Give how much scores vary, with one pass and one failure more: few trials alike do not tell that all are."""
    known = [*scores, 0.0, 1.0]
    mean = fmean(known)
    return fmean((score - mean) ** 2 for score in known)

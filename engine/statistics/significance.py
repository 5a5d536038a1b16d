"""Tests of paired differences: how likely what was seen would be if nothing were different."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Literal

from engine.statistics.distributions import NORMAL, sums_of_signs, t_quantile

Side = Literal["less", "greater", "two-sided"]
_EXACT_RANKS = 50


def mcnemar(worse: int, better: int, side: Side = "two-sided") -> float:
    """Give the exact p of pairs that changed: `worse` of them passed before only, `better` after only.

    `less` asks whether what came after passes less often.
    """
    many = worse + better
    at_most = sum(math.comb(many, k) for k in range(better + 1)) / 2**many
    at_least = sum(math.comb(many, k) for k in range(better, many + 1)) / 2**many
    return _sided(at_most, at_least, side)


def wilcoxon(differences: Sequence[float], side: Side = "two-sided") -> float:
    """Give the p of Wilcoxon's signed ranks; differences of zero say nothing.

    Exact, with ties too, for up to 50 differences; beyond by the normal distribution, corrected for ties.
    """
    changed = sorted((difference for difference in differences if difference), key=abs)
    if not changed:
        return 1.0
    ranks = _doubled_ranks([abs(difference) for difference in changed])
    seen = sum(rank if difference > 0 else -rank for rank, difference in zip(ranks, changed, strict=True))
    if len(ranks) <= _EXACT_RANKS:
        counts = sums_of_signs(ranks, sum(ranks) * 2 + 1) or {}
        every = 2 ** len(ranks)
        at_most = sum(count for total, count in counts.items() if total <= seen) / every
        at_least = sum(count for total, count in counts.items() if total >= seen) / every
        return _sided(at_most, at_least, side)
    z = seen / math.sqrt(sum(rank * rank for rank in ranks))
    return _sided(NORMAL.cdf(z), NORMAL.cdf(-z), side)


def _doubled_ranks(sizes: Sequence[float]) -> list[int]:
    """Rank ordered sizes, equal ones by their mean rank; doubled, so that all are whole."""
    ranks: list[int] = []
    for _, equal in groupby(sizes):
        tied = len(list(equal))
        ranks += [2 * len(ranks) + tied + 1] * tied
    return ranks


def _sided(at_most: float, at_least: float, side: Side) -> float:
    if side == "two-sided":
        return min(1.0, 2 * min(at_most, at_least))
    return at_most if side == "less" else at_least


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number, by Holm: each may then be held against the level by itself."""
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for place, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[at] * (len(p_values) - place)))
        adjusted[at] = highest
    return adjusted


def detectable(error: float, freedom: float, *, level: float = 0.05, power: float = 0.8) -> float:
    """Give the smallest true change that a one-sided test at a level finds with this power, from its standard error."""
    return (t_quantile(1 - level, freedom) + t_quantile(power, freedom)) * error

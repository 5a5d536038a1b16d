"""Tests of paired differences: how likely what was seen would be if nothing were different."""

import math
import random
from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Literal

from engine.statistics.distributions import NORMAL, sums_of_signs, t_quantile

Side = Literal["less", "greater", "two-sided"]
FLIPS = 9_999
_WHOLE = 720_720 * 10**6
"""Differences are counted in parts of this, which 1 to 16 divide: means of so many trials are whole."""

_MOST_SUMS = 20_000  # so many different sums are counted; beyond, signs are drawn
_EXACT_RANKS = 50


def mcnemar(worse: int, better: int, side: Side = "two-sided") -> float:
    """Give the exact p of pairs that changed: `worse` of them passed before only, `better` after only.

    `less` asks whether what came after passes less often.
    """
    many = worse + better
    at_most = sum(math.comb(many, k) for k in range(better + 1)) / 2**many
    at_least = sum(math.comb(many, k) for k in range(better, many + 1)) / 2**many
    return _sided(at_most, at_least, side)


def sign_flips(
    differences: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    side: Side = "two-sided",
    *,
    flips: int = FLIPS,
    seed: int = 0,
) -> float:
    """Give the p of a sum of paired differences: had nothing changed, each could as well have the other sign.

    Every assignment of signs counts where they make few enough sums, as with yes and no, where this is McNemar's exact
    test; else some are drawn, always the same.

    Args:
        differences: after less before, one a pair.
        clusters: which cluster each pair is of; the signs of a cluster flip together.
        side: `less` asks whether what came after is less.
        flips: how many assignments are drawn where they are too many to count.
        seed: of the draws.
    """
    sums: dict[Hashable, int] = defaultdict(int)
    keys = range(len(differences)) if clusters is None else clusters
    for key, difference in zip(keys, differences, strict=True):
        sums[key] += round(difference * _WHOLE)
    sizes = sorted(abs(total) for total in sums.values() if total)
    seen = sum(sums.values())
    counts = sums_of_signs(sizes, _MOST_SUMS)
    slack = len(differences)  # what rounding may have moved
    if counts is not None:
        every = 2 ** len(sizes)
        at_most = sum(count for total, count in counts.items() if total <= seen + slack) / every
        at_least = sum(count for total, count in counts.items() if total >= seen - slack) / every
        return _sided(at_most, at_least, side)
    chance = random.Random(seed)  # noqa: S311 no secret
    drawn = [_flipped(sizes, chance.getrandbits(len(sizes))) for _ in range(flips)]
    at_most = (1 + sum(total <= seen + slack for total in drawn)) / (1 + flips)
    at_least = (1 + sum(total >= seen - slack for total in drawn)) / (1 + flips)
    return _sided(at_most, at_least, side)


def _flipped(sizes: Sequence[int], signs: int) -> int:
    total = 0
    for size in sizes:
        total += size if signs & 1 else -size
        signs >>= 1
    return total


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

"""Means of samples that were drawn with unequal chances: what is drawn rarely counts for more."""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from engine.statistics.distributions import t_quantile
from engine.statistics.intervals import Interval, wilson


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """A mean over all that a sample was drawn from.

    Attributes:
        value: the weighted sum over the sum of the weights (Hájek).
        total: how many there are in all, by the sample (Horvitz and Thompson): the sum of the weights.
        many: how many were drawn, in so many `clusters`.
        error: the standard error, linearized, by clusters; None with fewer than two.
        effective: how many equal observations would say as much (Kish).
        is_share: whether every observation is 0 or 1.
    """

    value: float
    total: float
    many: int
    clusters: int
    error: float | None
    effective: float
    is_share: bool

    def interval(self, confidence: float = 0.95) -> Interval:
        """Say where the mean lies: Student's t over clusters; for shares Wilson's, with as many as tell the same."""
        if self.is_share:
            spread = self.value * (1 - self.value)
            many = spread / self.error**2 if self.error and spread else self.effective
            many = min(many, self.effective)
            return wilson(self.value * many if self.value < 1 else many, many, confidence)
        if self.error is None:
            return Interval(-math.inf, math.inf)
        half = t_quantile(0.5 + confidence / 2, self.clusters - 1) * self.error
        return Interval(self.value - half, self.value + half)


def weighted_mean(
    values: Sequence[float], weights: Sequence[float], clusters: Sequence[Hashable] | None = None
) -> WeightedMean:
    """Give the mean of what a sample was drawn from, each observation with its own chance.

    The error is that of what brings such observations forth, and no smaller where all of them were drawn.

    Args:
        values: the observations, at least one.
        weights: one over the chance with which each was drawn.
        clusters: which cluster each is of, where those of one go alike; else each is its own.
    """
    total = math.fsum(weights)
    mean = math.fsum(weight * value for weight, value in zip(weights, values, strict=True)) / total
    off: dict[Hashable, float] = defaultdict(float)
    for key, value, weight in zip(range(len(values)) if clusters is None else clusters, values, weights, strict=True):
        off[key] += weight * (value - mean)
    error = None
    if len(off) > 1:
        error = math.sqrt(math.fsum(part * part for part in off.values()) * len(off) / (len(off) - 1)) / total
    effective = total * total / math.fsum(weight * weight for weight in weights)
    return WeightedMean(mean, total, len(values), len(off), error, effective, {*values} <= {0.0, 1.0})

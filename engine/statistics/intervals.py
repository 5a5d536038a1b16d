"""Intervals: what a share, a mean or any figure of a sample may be in what the sample was drawn from."""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

from engine.statistics.distributions import NORMAL, t_quantile

Unit = TypeVar("Unit")
RESAMPLES = 9_999
_FAR = 12  # standard deviations: a binomial number is further off with a chance below 1e-17
_MOST_UNITS = 1_000  # drawing more again and again takes long, and says what the linear interval says


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with a given confidence; infinite where the sample sets no bound."""

    low: float
    high: float

    def to_json(self) -> list[float | None]:
        """Give both ends; None for one without a bound."""
        return [end if math.isfinite(end) else None for end in (self.low, self.high)]


def wilson(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Say where a share may lie, by Wilson's score; anywhere where nothing was tried."""
    if not trials:
        return Interval(0.0, 1.0)
    z = NORMAL.inv_cdf(0.5 + confidence / 2)
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return Interval(
        0.0 if not successes else max(0.0, middle - half), 1.0 if successes == trials else min(1.0, middle + half)
    )


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of observations that came in clusters.

    Attributes:
        error: its standard error, by clusters; None with fewer than two.
        naive_error: what the standard error would be if every observation stood alone.
        clusters: how many there are.
    """

    value: float
    error: float | None
    naive_error: float | None
    clusters: int

    @property
    def freedom(self) -> int:
        """The degrees of freedom of Student's t."""
        return self.clusters - 1

    def interval(self, confidence: float = 0.95) -> Interval:
        """Say where the mean may lie, by Student's t over clusters."""
        if self.error is None:
            return Interval(-math.inf, math.inf)
        half = t_quantile(0.5 + confidence / 2, self.freedom) * self.error
        return Interval(self.value - half, self.value + half)


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> Mean:
    """Give a mean and its standard error, where observations of one cluster may depend on each other.

    Args:
        values: the observations, at least one.
        clusters: which cluster each is of; else each is its own.
    """
    mean = fmean(values)
    off: dict[Hashable, float] = defaultdict(float)
    for key, value in zip(range(len(values)) if clusters is None else clusters, values, strict=True):
        off[key] += value - mean
    return Mean(
        mean, _error(list(off.values()), len(values)), _error([one - mean for one in values], len(values)), len(off)
    )


def _error(off: Sequence[float], many: int) -> float | None:
    if len(off) < 2:
        return None
    return math.sqrt(math.fsum(part * part for part in off) * len(off) / (len(off) - 1)) / many


def bca(
    units: Sequence[Unit],
    statistic: Callable[[Sequence[Unit]], float],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Say where any figure of a sample may lie: bootstrap, corrected for bias and acceleration.

    Args:
        units: what is drawn again, with replacement; at least one.
        statistic: gives the figure of a sample; infinite where it has none.
        confidence: how sure the interval is.
        resamples: how often a sample is drawn.
        seed: of the draws, so that the same sample has the same interval.
    """
    chance = random.Random(seed)  # noqa: S311 no secret
    estimates = [statistic(chance.choices(units, k=len(units))) for _ in range(resamples)]
    left_out = [statistic([*units[:at], *units[at + 1 :]]) for at in range(len(units))] if len(units) > 1 else []
    return bca_of(statistic(units), estimates, left_out, confidence)


def bca_of(
    estimate: float, estimates: Sequence[float], left_out: Sequence[float], confidence: float = 0.95
) -> Interval:
    """Read the interval off a figure, the figures of samples drawn again, and those with one unit left out each."""
    ordered = sorted(estimates)
    below = sum(one < estimate for one in ordered) + sum(one <= estimate for one in ordered)
    share = below / (2 * len(ordered))
    if not 0 < share < 1 or ordered[0] == ordered[-1]:
        return Interval(min(ordered[0], estimate), max(ordered[-1], estimate))
    bias, acceleration = NORMAL.inv_cdf(share), _acceleration(left_out)
    ends: list[float] = []
    for z in (NORMAL.inv_cdf((1 - confidence) / 2), NORMAL.inv_cdf((1 + confidence) / 2)):
        moved = bias + z
        ends.append(quantile(ordered, NORMAL.cdf(bias + moved / (1 - acceleration * moved))))
    return Interval(*ends)


def _acceleration(left_out: Sequence[float]) -> float:
    if not left_out or not all(map(math.isfinite, left_out)):
        return 0.0
    mean = fmean(left_out)
    squares = math.fsum((mean - one) ** 2 for one in left_out)
    return math.fsum((mean - one) ** 3 for one in left_out) / (6 * squares**1.5) if squares else 0.0


def quantile(ordered: Sequence[float], share: float) -> float:
    """Give the quantile of ordered numbers, on the line between two neighbours."""
    place = share * (len(ordered) - 1)
    at = min(math.floor(place), len(ordered) - 2) if len(ordered) > 1 else 0
    low, high = ordered[at], ordered[min(at + 1, len(ordered) - 1)]
    return low if low == high or place == at else low + (place - at) * (high - low)


def quantile_interval(ordered: Sequence[float], share: float, confidence: float = 0.95) -> Interval:
    """Say where a quantile lies, by the numbers of a sample between which it is; infinite where too few are beyond."""
    outside, below = (1 - confidence) / 2, 0.0
    low, high = -1, len(ordered)
    spread = math.sqrt(len(ordered) * share * (1 - share))
    first = max(0, math.floor(len(ordered) * share - _FAR * spread - _FAR))  # what is before adds nothing
    for many in range(first, len(ordered) + 1):  # the chance that so many of the sample are below the quantile
        below += _binomial(many, len(ordered), share)
        low = many if below <= outside else low
        if below >= 1 - outside:
            high = many
            break
    return Interval(ordered[low] if low >= 0 else -math.inf, ordered[high] if high < len(ordered) else math.inf)


def _binomial(successes: int, trials: int, chance: float) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    return math.exp(ways + successes * math.log(chance) + (trials - successes) * math.log1p(-chance))


def ratio_interval(
    pairs: Sequence[tuple[float, float]], confidence: float = 0.95, *, resampled: bool = True
) -> Interval:
    """Say where the quotient of two sums may lie, as of costs and successes, a pair a unit.

    Up to 1,000 units it is a bootstrap; beyond, or if it is not to be `resampled`, the quotient is taken as linear in
    both sums.
    """
    if len(pairs) < 2 or not sum(below for _, below in pairs):
        return Interval(-math.inf, math.inf)
    if resampled and len(pairs) <= _MOST_UNITS:
        return bca(pairs, _quotient, confidence=confidence, resamples=1_999)
    quotient = _quotient(pairs)
    mean = clustered_mean([above - quotient * below for above, below in pairs])
    half = (mean.error or 0.0) * NORMAL.inv_cdf(0.5 + confidence / 2) / fmean(below for _, below in pairs)
    return Interval(quotient - half, quotient + half)


def _quotient(pairs: Sequence[tuple[float, float]]) -> float:
    below = math.fsum(pair[1] for pair in pairs)
    return math.fsum(pair[0] for pair in pairs) / below if below else math.inf

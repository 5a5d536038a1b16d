"""How far token estimates are off for a model, learned from what its provider counted, unmoved by outliers."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

FEWEST_SAMPLES = 20
"""How many calls it takes to learn from; with fewer the likely count is better left as it is."""

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


@dataclass(frozen=True, slots=True)
class Sample:
    """One answered request.

    Attributes:
        likely: its likely count of input tokens.
        bound: the bound of that count.
        counted: what the provider counted.
    """

    likely: int
    bound: int
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Relative errors of an estimate, in parts of what the provider counted.

    Attributes:
        p50: half of the requests are at most so far off, either way.
        p95: 95 of 100 are.
        most: the farthest.
        too_low: the share of requests for which the estimate was below what was counted.
    """

    p50: float
    p95: float
    most: float
    too_low: float


def learn(samples: Sequence[Sample]) -> dict[str, float] | None:
    """Give quantiles of the ratio of counted to likely tokens, and its median absolute deviation (mad).

    None if there are too few samples.
    """
    ratios = sorted(sample.counted / sample.likely for sample in samples if sample.likely)
    if len(ratios) < FEWEST_SAMPLES:
        return None
    middle = median(ratios)
    found = {name: quantile(ratios, share) for name, share in QUANTILES.items()}
    return {name: round(value, 4) for name, value in found.items()} | {
        "mad": round(median(abs(ratio - middle) for ratio in ratios), 4)
    }


def calibrated(sample: Sample, ratio: float) -> int:
    """Give the likely count corrected by a learned ratio; never above the bound."""
    return min(round(sample.likely * ratio), sample.bound)


def errors_of(estimates: Sequence[int], samples: Sequence[Sample]) -> Errors:
    """Compare estimates with what was counted; there is at least one sample, and each counted something."""
    relative = [
        (estimated - sample.counted) / sample.counted for estimated, sample in zip(estimates, samples, strict=True)
    ]
    off = sorted(map(abs, relative))
    return Errors(
        p50=quantile(off, 0.5),
        p95=quantile(off, 0.95),
        most=off[-1],
        too_low=sum(error < 0 for error in relative) / len(relative),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Give the value below which a share of ordered values lies, between two of them by their distance."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)

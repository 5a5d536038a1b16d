"""Distances between two samples, and whether chance alone would put them so far apart."""

import math
import random
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_LEAST = 1e-4  # the share of a bucket that one side has nothing in, as is usual for the index

Counts = Mapping[Hashable, float]


def stability_index(before: Counts, after: Counts) -> float:
    """Give the population stability index of two histograms: 0.1 is said to be some change, 0.25 much."""
    index = 0.0
    totals = sum(before.values()), sum(after.values())
    for bucket in {*before, *after}:
        old, new = (max(of.get(bucket, 0) / total, _LEAST) for of, total in zip((before, after), totals, strict=True))
        index += (new - old) * math.log(new / old)
    return index


def jensen_shannon(before: Counts, after: Counts) -> float:
    """Give the distance of Jensen and Shannon of two histograms, from 0 (the same) to 1 (nothing in common)."""
    old_total, new_total = sum(before.values()), sum(after.values())
    total = 0.0
    for bucket in {*before, *after}:
        old, new = before.get(bucket, 0) / old_total, after.get(bucket, 0) / new_total
        middle = (old + new) / 2
        total += sum(share * math.log2(share / middle) for share in (old, new) if share)
    return math.sqrt(max(0.0, total / 2))


def energy(before: Sequence[float], after: Sequence[float]) -> float:
    """Give the energy distance of two samples of numbers, in the root of their unit."""
    places = sorted(
        [(value, 1 / len(before), 0.0) for value in before] + [(value, 0.0, 1 / len(after)) for value in after]
    )
    square = old = new = 0.0
    for (value, more_old, more_new), (following, _, _) in pairwise(places):
        old, new = old + more_old, new + more_new
        square += 2 * (old - new) ** 2 * (following - value)
    return math.sqrt(square)


@dataclass(frozen=True, slots=True)
class Apart:
    """How far apart two samples are.

    Attributes:
        distance: from 0 to 1.
        by_chance: what 99 % of samples stay below that are drawn from both together.
        p: the share of those that are as far apart.
    """

    distance: float
    by_chance: float
    p: float


def apart(before: Sequence[Counts], after: Sequence[Counts], *, draws: int = 199, seed: int = 0) -> Apart:
    """Compare two samples of histograms, one an observation, by the distance of their sums; both with one at least.

    Chance is what the distance would be if each observation could as well be of the other sample (permutation).
    """
    every = [*before, *after]
    chance = random.Random(seed)  # noqa: S311 no secret
    seen = _of_sums(before, after)
    drawn: list[float] = []
    for _ in range(draws):
        chance.shuffle(every)
        drawn.append(_of_sums(every[: len(before)], every[len(before) :]))
    drawn.sort()
    p = (1 + sum(one >= seen for one in drawn)) / (1 + draws)
    return Apart(seen, drawn[min(len(drawn) - 1, math.ceil(0.99 * len(drawn)))], p)


def _of_sums(before: Sequence[Counts], after: Sequence[Counts]) -> float:
    sums: list[Counter[Hashable]] = []
    for sample in (before, after):
        total: Counter[Hashable] = Counter()
        for one in sample:
            for bucket, many in one.items():
                total[bucket] += many  # type: ignore[assignment]
        sums.append(total)
    return jensen_shannon(*sums)

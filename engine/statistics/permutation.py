"""The permutation test of trials: had nothing changed, a trial of a case could as well have been one of the other side.

Every way to deal the trials of each case out to the two sides counts. The ways keep how many trials a side has of a
case, so cases weigh what they do in the mean. With one trial a side it is McNemar's exact test.
"""

import math
import random
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate
from statistics import fmean, pvariance

from engine.statistics.distributions import NORMAL

Trials = tuple[Sequence[float], Sequence[float]]
"""The scores of a case: of the trials before, and of those after."""

DRAWS = 9_999
_SCORE = 10**6  # scores are counted in parts of this
_TRIALS = 720_720  # which 1 to 16 divide, so that means of so many trials are whole
_PLACE = 10**9  # room for what tells equal sums apart
_MOST_SUMS = 5_000  # so many different sums are counted
_MOST_WAYS = 1_000  # and so many of a cluster
_MANY = 100  # clusters that are not all alike, over which sums that are too many to count are normal
_VERY_MANY = 400  # over which they are not counted

Law = dict[int, float]
"""How likely each sum is."""


def trials_dropped(cases: Sequence[Trials], clusters: Sequence[Hashable] | None = None, *, seed: int = 0) -> float:
    """Give the p of a drop of the mean over cases as large as this one, if both sides were the same.

    Of two ways with the same mean, the one counts as the larger drop that loses in cases that pass more: a model that
    got worse loses what it had. What is the same for every way, as how often a case passed on both sides together,
    may be used so, and the test stays exact while fewer ways tie.

    Args:
        cases: at least one trial a side each.
        clusters: which cluster each case is of; trials of a cluster with the same number are dealt together.
        seed: of the draws, where the ways make more than 5,000 different sums. Over more than 100 clusters
            the sums are normal then, with the mean and variance that the ways have; over more than 400 always.
    """
    grouped: dict[Hashable, list[Trials]] = defaultdict(list)
    for key, case in zip(range(len(cases)) if clusters is None else clusters, cases, strict=True):
        grouped[key].append(case)
    blocks = [(before, after) for before, after in map(_blocks, grouped.values()) if len({*before, *after}) > 1]
    found: list[_Dealt] = []
    seen = 0
    for tells_apart in (True, False):
        found = [_Dealt.of(before, after, tells_apart=tells_apart) for before, after in blocks]
        counted = _sums(found) if len(found) <= _VERY_MANY else None
        seen = sum(one.seen for one in found)
        if counted is not None:
            return min(1.0, math.fsum(chance for total, chance in counted.items() if total <= seen))
    if len(found) > _MANY:
        spread = math.sqrt(sum(one.variance for one in found))
        half = math.gcd(*(one.step for one in found)) / 2  # sums have gaps, which a normal law has not
        return NORMAL.cdf((seen + half - sum(one.mean for one in found)) / spread)
    chance = random.Random(seed)  # noqa: S311 no secret
    drawn = [0] * DRAWS
    for one in found:
        drawn = [total + more for total, more in zip(drawn, one.draw(chance), strict=True)]
    return (1 + sum(total <= seen for total in drawn)) / (1 + DRAWS)


class _Dealt:
    """The trials of one cluster, to be dealt out: what the side after gets, by how likely that is."""

    def __init__(self, pool: Sequence[int], after: int, factor: int, tie: int) -> None:
        self._pool, self._after, self._factor, self._tie = pool, after, factor, tie
        self.seen = self._worth(sum(pool[:after]))

    @classmethod
    def of(cls, before: Sequence[int], after: Sequence[int], *, tells_apart: bool) -> "_Dealt":
        factor = _TRIALS // len(after) + _TRIALS // len(before)
        share = sum((*before, *after)) // (len(before) + len(after)) * 1_000 // _SCORE
        return cls([*after, *before], len(after), factor, share if tells_apart else 0)

    @property
    def step(self) -> int:
        """What all differences of what it may be worth are multiples of."""
        return math.gcd(*(value - self._pool[0] for value in self._pool)) * self._factor * _PLACE

    @property
    def mean(self) -> float:
        """The mean of what it may be worth, but for what tells equal sums apart."""
        return fmean(self._pool) * self._after * self._factor * _PLACE

    @property
    def variance(self) -> float:
        """Its variance."""
        many = len(self._pool)
        dealt = self._after * (many - self._after) / (many - 1)
        return pvariance(self._pool) * dealt * (self._factor * _PLACE) ** 2

    def law(self) -> Law | None:
        """Give how likely each worth is; None where there are too many."""
        ways: list[dict[int, int]] = [{0: 1}, *({} for _ in range(self._after))]
        for value in self._pool:
            for taken in range(self._after, 0, -1):
                more = ways[taken]
                for total, count in ways[taken - 1].items():
                    more[total + value] = more.get(total + value, 0) + count
                if len(more) > _MOST_WAYS:
                    return None
        every = math.comb(len(self._pool), self._after)
        law: Law = defaultdict(float)
        for total, count in ways[-1].items():
            law[self._worth(total)] += count / every
        return law

    def draw(self, chance: random.Random) -> Iterable[int]:
        """Give what some ways are worth, as they fall."""
        law = self.law()
        if law is None:
            return (self._worth(sum(chance.sample(self._pool, self._after))) for _ in range(DRAWS))
        return chance.choices(list(law), cum_weights=list(accumulate(law.values())), k=DRAWS)

    def _worth(self, total: int) -> int:
        return total * self._factor * _PLACE + total // 1_000 * self._tie


def _sums(found: Sequence[_Dealt]) -> Law | None:
    """Give how likely each sum over clusters is; None where there are too many."""
    sums: Law = {0: 1.0}
    for one in found:
        law = one.law()
        if law is None:
            return None
        longer: Law = defaultdict(float)
        for total, chance in sums.items():
            for more, likely in law.items():
                longer[total + more] += chance * likely
        if len(longer) > _MOST_SUMS:
            return None
        sums = longer
    return sums


def _blocks(cases: Sequence[Trials]) -> tuple[list[int], list[int]]:
    """Give the trials of a cluster, each summed over its cases; one a side where its cases have not as many each."""
    if len({(len(before), len(after)) for before, after in cases}) > 1:
        cases = [([sum(before) / len(before)], [sum(after) / len(after)]) for before, after in cases]
    sides = zip(*cases, strict=True)
    before, after = ([round(sum(scores) * _SCORE) for scores in zip(*side, strict=True)] for side in sides)
    return before, after

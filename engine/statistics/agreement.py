"""Agreement of a judge with people, and what the judge's verdicts say of the true rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.statistics.distributions import NORMAL
from engine.statistics.intervals import Interval, bca, wilson

Pair = tuple[bool, bool]
"""What a person says of a trial, and what the judge says."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a judge agrees with people, over trials that both judged.

    Attributes:
        both: both say yes; `judge_only` and `people_only` one of them, `neither` both say no.
    """

    both: int
    judge_only: int
    people_only: int
    neither: int

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> "Agreement":
        """Count pairs."""
        counts = {key: pairs.count(key) for key in ((True, True), (False, True), (True, False), (False, False))}
        return cls(*counts.values())

    @property
    def trials(self) -> int:
        """How many both judged."""
        return self.both + self.judge_only + self.people_only + self.neither

    @property
    def agreed(self) -> float:
        """The share on which they agree."""
        return (self.both + self.neither) / self.trials

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond what chance would give; None where chance alone would give all."""
        people, judge = self.both + self.people_only, self.both + self.judge_only
        many = self.trials
        chance = (people * judge + (many - people) * (many - judge)) / many**2
        return None if chance == 1 else (self.agreed - chance) / (1 - chance)

    @property
    def sensitivity(self) -> tuple[int, int]:
        """How many of those that people call good the judge calls good: recall."""
        return self.both, self.both + self.people_only

    @property
    def specificity(self) -> tuple[int, int]:
        """How many of those that people call bad the judge calls bad."""
        return self.neither, self.neither + self.judge_only

    @property
    def precision(self) -> tuple[int, int]:
        """How many of those that the judge calls good people call good."""
        return self.both, self.both + self.judge_only


def kappa_interval(pairs: Sequence[Pair]) -> Interval:
    """Say where kappa may lie, by bootstrap over trials."""

    def kappa(drawn: Sequence[Pair]) -> float:
        found = Agreement.of(drawn).kappa
        return 1.0 if found is None else found

    return bca(pairs, kappa, resamples=1_999)


def true_rate(judged_good: int, judged: int, found: Agreement) -> tuple[float, Interval] | None:
    """Correct the rate that a judge gives by its errors (Rogan and Gladen 1978), with a 95 % interval.

    The interval takes in that the errors are known from so many labels only (Lang and Reiczigel 2014).

    Args:
        judged_good: how many of `judged` the judge calls good, those without a label.
        judged: how many it judged.
        found: its errors on trials with labels.

    Returns:
        The corrected rate and where it may lie; None where the judge tells good from bad no better than chance.
    """
    hits, good = found.sensitivity
    right, bad = found.specificity
    if not judged or not good or not bad or hits / good + right / bad <= 1:
        return None
    rate = min(1.0, max(0.0, (judged_good / judged + right / bad - 1) / (hits / good + right / bad - 1)))
    z = NORMAL.inv_cdf(0.975)
    many, goods, bads = judged + z * z, good + 2, bad + 2
    share = (judged_good + z * z / 2) / many
    sensitivity, specificity = (hits + 1) / goods, (right + 1) / bads
    youden = sensitivity + specificity - 1
    if youden <= 0:
        return rate, Interval(0.0, 1.0)
    middle = (share + specificity - 1) / youden
    spread = share * (1 - share) / many
    spread += middle**2 * sensitivity * (1 - sensitivity) / goods
    spread += (1 - middle) ** 2 * specificity * (1 - specificity) / bads
    half = z * math.sqrt(spread) / youden
    shift = 2 * z * z * (middle * sensitivity * (1 - sensitivity) / goods)
    shift -= 2 * z * z * ((1 - middle) * specificity * (1 - specificity) / bads)
    low, high = middle + shift - half, middle + shift + half
    return rate, Interval(min(rate, max(0.0, low)), max(rate, min(1.0, high)))


def share_of(counts: tuple[int, int]) -> dict[str, float | list[float | None] | None]:
    """Give a share as JSON, with Wilson's interval."""
    successes, many = counts
    return {"share": successes / many if many else None, "interval": wilson(successes, many).to_json(), "of": many}

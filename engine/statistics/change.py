"""Change: when a sequence of numbers has left the level that it had, and how long that takes by chance."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.statistics.distributions import NORMAL

_STATES = 100  # into which a sum is cut; the run length is then right to about 1 %


@dataclass(frozen=True, slots=True)
class Change:
    """What two-sided cumulative sums (Page) say of a sequence.

    Attributes:
        up: the sum that grows while numbers are too high, in standard deviations, after the last of them.
        down: that which grows while they are too low.
        at: the place at which one of them first passed the threshold; None if neither did.
        began: the place from which that one grew: where the change is likely to have begun.
        side: which: up or down.
    """

    up: float
    down: float
    at: int | None = None
    began: int | None = None
    side: str | None = None


def cusum(values: Sequence[float], *, target: float, spread: float, allowance: float, threshold: float) -> Change:
    """Add up by how much numbers are off their level.

    Args:
        values: in order.
        target: the level.
        spread: their standard deviation at that level, above 0.
        allowance: what is forgiven each, in standard deviations; half of the change that matters.
        threshold: the sum at which the level counts as left, in standard deviations.
    """
    up = down = 0.0
    began_up = began_down = 0
    found: tuple[int, int, str] | None = None
    for place, value in enumerate(values):
        off = (value - target) / spread
        began_up = place if up == 0 else began_up
        began_down = place if down == 0 else began_down
        up, down = max(0.0, up + off - allowance), max(0.0, down - off - allowance)
        if found is None and max(up, down) > threshold:
            found = (place, began_up, "up") if up > threshold else (place, began_down, "down")
    return Change(up, down, *(found or (None, None, None)))


def run_length(allowance: float, threshold: float, shift: float = 0.0) -> float:
    """Give after how many numbers two-sided sums pass the threshold on average: normal ones, off by `shift`.

    By the Markov chain of Brook and Evans, a side at a time; without a shift it is how far apart false alarms are.
    """
    sides = [_one_sided(allowance, threshold, by) for by in (shift, -shift)]
    return 1 / sum(1 / side for side in sides)


def _one_sided(allowance: float, threshold: float, shift: float) -> float:
    width = 2 * threshold / (2 * _STATES - 1)
    size = _STATES

    def below(state: int, edge: float) -> float:
        return NORMAL.cdf(edge - state * width + allowance - shift)

    rows: list[list[float]] = []
    for state in range(size):
        edges = [below(state, (other + 0.5) * width) for other in range(size)]
        moves = [edges[0], *(high - low for low, high in pairwise(edges))]
        rows.append([*(float(state == other) - move for other, move in enumerate(moves)), 1.0])
    return _solved(rows)[0]


def _solved(rows: list[list[float]]) -> list[float]:
    """Solve linear equations, the right sides behind the left (Gauss, with pivots)."""
    size = len(rows)
    for at in range(size):
        best = max(range(at, size), key=lambda row: abs(rows[row][at]))
        rows[at], rows[best] = rows[best], rows[at]
        pivot = rows[at]
        for below in rows[at + 1 :]:
            if factor := below[at] / pivot[at]:
                below[at:] = [one - factor * other for one, other in zip(below[at:], pivot[at:], strict=True)]
    found = [0.0] * size
    for at in reversed(range(size)):
        known = sum(rows[at][other] * found[other] for other in range(at + 1, size))
        found[at] = (rows[at][size] - known) / rows[at][at]
    return found


def drawn_run_length(
    values: Sequence[float], *, allowance: float, threshold: float, draws: int = 100, most: int = 2_000, seed: int = 0
) -> float:
    """Give the average run length of numbers drawn again from these, which need not be normal; at most `most`."""
    chance = random.Random(seed)  # noqa: S311 no secret
    mean = sum(values) / len(values)
    spread = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    lengths: list[int] = []
    for _ in range(draws):
        up = down = 0.0
        length = 0
        while length < most and max(up, down) <= threshold:
            off = (chance.choice(values) - mean) / spread
            up, down, length = max(0.0, up + off - allowance), max(0.0, down - off - allowance), length + 1
        lengths.append(length)
    return sum(lengths) / draws

"""Distributions that tests and intervals are read off: normal, Student's t, and sums of signs."""

import math
from collections.abc import Iterable
from statistics import NormalDist

NORMAL = NormalDist()
_CLOSE = 1e-16  # a further term of the fraction would change nothing
_TERMS = 1_000
_TINY = 1e-300


def t_cdf(value: float, freedom: float) -> float:
    """Give the chance that Student's t with so many degrees of freedom is not above a value."""
    square = value * value
    if freedom > square:  # the small part is computed, so that nothing cancels
        inside = 0.5 * _incomplete_beta(0.5, freedom / 2, square / (freedom + square))
        return 0.5 + math.copysign(inside, value)
    tail = 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + square))
    return tail if value < 0 else 1 - tail


def t_quantile(chance: float, freedom: float) -> float:
    """Give the value below which Student's t is with a chance between 0 and 1."""
    if chance < 0.5:
        return -t_quantile(1 - chance, freedom)
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < chance:
        low, high = high, high * 2
    while (middle := (low + high) / 2) not in (low, high):  # until no number lies between
        low, high = (middle, high) if t_cdf(middle, freedom) < chance else (low, middle)
    return high


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Give the regularized incomplete beta function, by its continued fraction."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    log = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            change = d * c
            fraction *= change
        if abs(change - 1) < _CLOSE:
            break
    return math.exp(log) * fraction / a


def _nonzero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY


def sums_of_signs(sizes: Iterable[int], most: int) -> dict[int, int] | None:
    """Count how often each sum comes up when every number is taken with either sign; None past so many sums."""
    counts = {0: 1}
    for size in sizes:
        longer: dict[int, int] = {}
        for total, count in counts.items():
            for signed in (total + size, total - size):
                longer[signed] = longer.get(signed, 0) + count
        if len(longer) > most:
            return None
        counts = longer
    return counts

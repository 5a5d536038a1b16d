"""Repeated trials of the same cases: how often all of k, or any of k, would succeed."""

import math
from collections.abc import Iterable
from statistics import fmean


def pass_hat_k(cases: Iterable[tuple[int, int]], k: int) -> float | None:
    """Give the chance that k trials of a case all succeed (pass^k), over cases of (successes, trials).

    Cases with fewer than k trials say nothing; None if none has as many.
    """
    shares = [math.comb(successes, k) / math.comb(trials, k) for successes, trials in cases if trials >= k]
    return fmean(shares) if shares else None


def pass_at_k(cases: Iterable[tuple[int, int]], k: int) -> float | None:
    """Give the chance that any of k trials of a case succeeds (pass@k), over cases of (successes, trials)."""
    shares = [1 - math.comb(trials - successes, k) / math.comb(trials, k) for successes, trials in cases if trials >= k]
    return fmean(shares) if shares else None

"""Contributions: which part of a whole a change of its mean comes from."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one part has to do with a change.

    Attributes:
        part: what its units have in common.
        before: the mean of its units then, of so many; None without any.
        after: that of its units now.
        change: how much of the change of the mean comes from it; all parts together make the whole change.
        explains: the same as a share of the change; 0 where nothing changed.
        excess: by how much that is more than its share of the units: 0 for a part that is everything.
    """

    part: Hashable
    before: float | None
    before_many: int
    after: float | None
    after_many: int
    change: float
    explains: float
    excess: float


def contributions(
    before: Sequence[tuple[Hashable, float]], after: Sequence[tuple[Hashable, float]]
) -> list[Contribution]:
    """Take the change of a mean apart by the parts that units belong to, the one that tells most first.

    A part counts for w1 (m1 - M0) - w0 (m0 - M0), with its shares w and means m, and the mean M0 of all before. Without
    units before, M0 is 0.

    Args:
        before: the part and the value of each unit then.
        after: those of each unit now, at least one.
    """
    usual = fmean(value for _, value in before) if before else 0.0
    total = fmean(value for _, value in after) - usual
    old, new = _by_part(before), _by_part(after)
    found: list[Contribution] = []
    for part in {**old, **new}:
        was, now = old.get(part, []), new.get(part, [])
        old_share, new_share = len(was) / len(before) if before else 0.0, len(now) / len(after)
        change = new_share * (fmean(now) - usual if now else 0.0) - old_share * (fmean(was) - usual if was else 0.0)
        explains = change / total if total else 0.0
        shares = (old_share + new_share) / 2 if before else new_share
        means = (fmean(was) if was else None, len(was), fmean(now) if now else None, len(now))
        found.append(Contribution(part, *means, change, explains, explains - shares))
    return sorted(found, key=lambda one: (-one.excess, -one.after_many, str(one.part)))


def _by_part(units: Sequence[tuple[Hashable, float]]) -> dict[Hashable, list[float]]:
    parts: dict[Hashable, list[float]] = defaultdict(list)
    for part, value in units:
        parts[part].append(value)
    return parts

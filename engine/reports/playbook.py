"""Playbooks: which tool, model, node, version or tenant a figure changed with, in numbers, and what shows it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from engine.reports.measures import Wanted, kind_of
from engine.reports.units import Unit, units
from engine.statistics.contribution import Contribution, contributions
from engine.statistics.intervals import quantile
from engine.store.ledger import SqlLedger
from engine.store.tables import runs

_LEAST_EXCESS = 0.1  # what explains hardly more than its share of all units is no lever
_MOST = 5
_MOST_COMPARED = 2_000  # units of each time, the newest: a run that shares the process waits no longer for it
_SHORT = 12  # digits of a version
_CALLS = {"run failures": "call failures", "outcomes": "call failures", "run seconds": "call seconds"}
"""Where a figure of runs goes wrong, its calls are looked at too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """What a figure changed with.

    Attributes:
        dimension: tool, model, node, version, tenant, user or workflow, and `part` which of them.
        before: its mean badness in the time before, of so many; a share of failures or slow calls, USD, or 1 - score.
        explains: which share of the change comes from it.
        began_at: when a version was first run.
        command: what shows it.
    """

    dimension: str
    part: str
    before: float | None
    before_many: int
    after: float
    after_many: int
    explains: float
    command: str
    run_id: str | None = None
    began_at: str | None = None

    @property
    def sentence(self) -> str:
        """Say it."""
        was = (
            "it was not there before" if self.before is None else f"{self.before:.4g} over {self.before_many:,} before"
        )
        part = self.part[:_SHORT] if self.dimension == "version" else self.part
        since = f", first run at {self.began_at}" if self.began_at else ""
        return (
            f"{self.dimension} {part}: mean {self.after:.4g} over {self.after_many:,} now, {was}; "
            f"explains {self.explains:.0%} of the change{since}"
        )

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {**asdict(self), "sentence": self.sentence}


async def playbook(ledger: SqlLedger, wanted: Wanted) -> list[Lever]:
    """Compare the time of a figure with the time before, and give what it changed with, what tells most first.

    Raises:
        StoreError: the database refused.
    """
    kind = kind_of(wanted.metric)
    if kind is None:
        return []
    return await ledger.read(lambda connection: _levers(connection, wanted, kind))


def _levers(connection: Connection, wanted: Wanted, kind: str) -> list[Lever]:
    found: dict[tuple[str, str], tuple[float, Lever]] = {}
    for each in dict.fromkeys((kind, _CALLS.get(kind, kind))):
        of = wanted.of if each == kind else None
        before = units(connection, each, wanted.where, of, wanted.baseline, wanted.since, _MOST_COMPARED)
        after = units(connection, each, wanted.where, of, wanted.since, wanted.until, _MOST_COMPARED)
        if not after:
            continue
        if each.endswith("seconds"):
            before, after = _slow(before, after)
        for dimension in after[0].parts:
            if dimension in wanted.where:
                continue
            parts = contributions(_of(before, dimension), _of(after, dimension))
            for one in parts[:1]:
                if _tells(one) and (dimension, str(one.part)) not in found:
                    lever = _lever(connection, wanted, dimension, one, after)
                    found[dimension, str(one.part)] = (one.excess, lever)
    ranked = sorted(found.values(), key=lambda pair: -pair[0])
    return [lever for _, lever in ranked[:_MOST]]


def _tells(one: Contribution) -> bool:
    worse = one.after is not None and (one.before is None or one.after > one.before)
    return one.part is not None and worse and one.change > 0 and one.excess >= _LEAST_EXCESS


def _of(found: Sequence[Unit], dimension: str) -> list[tuple[Any, float]]:
    return [(unit.parts[dimension], unit.value) for unit in found]


def _slow(before: Sequence[Unit], after: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
    """Say of each whether it took longer than 95 % did before."""
    took = sorted(unit.value for unit in before or after)
    usual = quantile(took, 0.95)

    def judged(those: Sequence[Unit]) -> list[Unit]:
        return [Unit(unit.run_id, float(unit.value > usual), unit.parts, unit.weight) for unit in those]

    return judged(before), judged(after)


def _lever(connection: Connection, wanted: Wanted, dimension: str, one: Contribution, after: Sequence[Unit]) -> Lever:
    theirs = [unit for unit in after if unit.parts[dimension] == one.part]
    worst = max(theirs, key=lambda unit: unit.value)
    began: datetime | None = None
    if dimension == "version":
        began = connection.scalar(select(func.min(runs.c.started_at)).where(runs.c.version == one.part))
    return Lever(
        dimension=dimension,
        part=str(one.part),
        before=one.before,
        before_many=one.before_many,
        after=one.after or 0.0,
        after_many=one.after_many,
        explains=one.explains,
        command=_command(wanted, dimension),
        run_id=worst.run_id if worst.value else None,
        began_at=None if began is None else began.isoformat(timespec="seconds"),
    )


def _command(wanted: Wanted, dimension: str) -> str:
    since = wanted.since.isoformat(timespec="seconds")
    if wanted.metric.startswith("usd"):
        return f"flowledger cost --by {dimension},status --since {since}"
    if wanted.metric.startswith("score"):
        return f"flowledger eval online --by {'version' if dimension != 'tenant' else dimension} --since {since}"
    if dimension in ("tenant", "user"):
        return f"flowledger cost --by {dimension},status --since {since}"
    return f"flowledger health --by {dimension} --since {since}"

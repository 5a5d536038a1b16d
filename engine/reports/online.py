"""What sampled runs tell of all runs: mean scores, weighted by the chance with which each run was drawn."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from engine.errors import InputError
from engine.reports.dimensions import dimensions
from engine.statistics.intervals import Interval
from engine.statistics.weighted import WeightedMean, weighted_mean
from engine.store.ledger import SqlLedger
from engine.store.samples import PENDING
from engine.store.tables import runs, samples, scores

GROUPS = ("workflow", "version", "tenant", "status", "stratum", "hour", "day")
"""What sampled runs can be told apart by."""

MOST_SAMPLES = 100_000
"""How many sampled runs are looked at, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineRow:
    """What one evaluator says of one group of runs.

    Attributes:
        dimensions: what the group has in common, by name.
        drawn: runs of the group that were drawn and have ended.
        missing: those of them of which the evaluator said nothing, as when the judges' budget was used up.
        mean: over all runs to which the evaluator applies, whether drawn or not.
    """

    dimensions: dict[str, Any]
    evaluator: str
    drawn: int
    missing: int
    mean: WeightedMean

    @property
    def interval(self) -> Interval:
        """Where the mean lies (95 %)."""
        return self.mean.interval()

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            **self.dimensions,
            "evaluator": self.evaluator,
            "drawn": self.drawn,
            "missing": self.missing,
            "scored": self.mean.many,
            "runs": self.mean.total,
            "mean": self.mean.value,
            "interval": self.interval.to_json(),
            "effective": self.mean.effective,
        }


async def online_scores(ledger: SqlLedger, by: Sequence[str], *, since: datetime | None = None) -> list[OnlineRow]:
    """Estimate what evaluators would say of all runs that began since, by whatever asks.

    A run counts for one over the chance with which it was drawn. Where an evaluator is missing, those of the same
    stratum that it did score stand for those that it did not.

    Raises:
        InputError: a group is not known, or named twice.
    """
    unknown = [name for name in by if name not in GROUPS]
    if unknown or not by or len(set(by)) < len(by):
        raise InputError(f"--by {','.join(by) or 'nothing'}: sampled runs are told apart by {', '.join(GROUPS)}")
    query = _drawn(by, since, is_sqlite=ledger.database.is_sqlite)

    def read(connection: Connection) -> list[OnlineRow]:
        drawn = connection.execute(query).mappings().all()
        said: dict[str, dict[str, tuple[datetime, float | None]]] = defaultdict(dict)
        of_them = select(scores).where(
            scores.c.run_id.in_(query.with_only_columns(samples.c.run_id)), scores.c.experiment_id.is_(None)
        )
        for one in connection.execute(of_them):
            known = said[one.evaluator].get(one.run_id)
            if known is None or known[0] <= one.created_at:
                said[one.evaluator][one.run_id] = (one.created_at, one.score)
        groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for one in drawn:
            groups[tuple(one[f"by_{name}"] for name in by)].append(one)
        rows = [
            row
            for key, those in groups.items()
            for evaluator, scored in said.items()
            if (row := _row(dict(zip(by, key, strict=True)), evaluator, those, scored)) is not None
        ]
        return sorted(rows, key=lambda row: (*(str(value) for value in row.dimensions.values()), row.evaluator))

    return await ledger.read(read)


def _drawn(by: Sequence[str], since: datetime | None, *, is_sqlite: bool) -> Select[Any]:
    known: dict[str, ColumnElement[Any]] = {**dimensions(is_sqlite=is_sqlite), "stratum": samples.c.stratum}
    columns = (samples.c.run_id, samples.c.stratum, samples.c.rate, runs.c.user_id)
    query = select(*(known[name].label(f"by_{name}") for name in by), *columns)
    query = query.select_from(samples.join(runs, runs.c.run_id == samples.c.run_id))
    query = query.where(samples.c.state != PENDING, samples.c.rate > 0)
    query = query if since is None else query.where(samples.c.began_at >= since)
    return query.order_by(samples.c.began_at.desc(), samples.c.run_id).limit(MOST_SAMPLES)


def _row(
    of: dict[str, Any], evaluator: str, drawn: Sequence[Any], said: dict[str, tuple[datetime, float | None]]
) -> OnlineRow | None:
    """Weigh what was said of some runs; None if nothing was."""
    strata: dict[tuple[str, float], list[Any]] = defaultdict(list)
    for one in drawn:
        strata[one["stratum"], one["rate"]].append(one)
    values: list[float] = []
    weights: list[float] = []
    clusters: list[str] = []
    missing = 0
    for (_, rate), those in strata.items():
        scored = [one for one in those if one["run_id"] in said]
        missing += len(those) - len(scored)
        for one in scored:
            score = said[one["run_id"]][1]
            if score is not None:
                values.append(score)
                weights.append(len(those) / len(scored) / rate)
                clusters.append(one["user_id"] or one["run_id"])
    if not values:
        return None
    mean = weighted_mean(values, weights, clusters)
    return OnlineRow(dimensions=of, evaluator=evaluator, drawn=len(drawn), missing=missing, mean=mean)

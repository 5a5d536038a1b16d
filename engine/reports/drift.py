"""Drift: whether scores have left their level, and whether inputs are of another kind than before."""

import asyncio
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, stdev
from typing import Any, cast
from zlib import crc32

from sqlalchemy import Connection, select

from engine.statistics.change import Change, cusum
from engine.statistics.distance import Apart, apart
from engine.store.ledger import SqlLedger
from engine.store.origins import NO_TRAFFIC
from engine.store.reader import values_at
from engine.store.samples import SCORED
from engine.store.tables import runs, samples, scores

MOST_INPUTS = 200
"""How many inputs of each time are compared, the newest."""

LEAST = 20
"""So few scores or inputs tell nothing of the level that was before."""

_BUCKETS = 256
_LEAST_SPREAD = 0.05  # scores that were all the same are taken to vary by so much
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class ScoreDrift:
    """How the scores since a moment stand to those before.

    Attributes:
        level: the weighted mean before, of so many scores (`before`), and their standard deviation.
        many: scores since.
        runs: the runs whose scores made the sum grow, in order; those that passed the threshold where one did.
    """

    level: float
    spread: float
    before: int
    many: int
    change: Change
    runs: Sequence[str]


@dataclass(frozen=True, slots=True)
class InputDrift:
    """How far the inputs since a moment are from those before, and how many of each were compared."""

    apart: Apart
    before: int
    many: int
    runs: Sequence[str]


def score_drift(
    connection: Connection,
    evaluator: str,
    workflow: str,
    *,
    baseline: datetime,
    since: datetime,
    until: datetime,
    version: str = "",
    allowance: float = 0.5,
    threshold: float = 5.0,
) -> ScoreDrift | None:
    """Say whether the scores of sampled runs have left the level that they had; None where too few were before.

    What is since may be of one version only. A score counts by its weight: one over the chance with which its run was
    drawn, over the mean of these.
    """
    drawn = samples.join(runs, runs.c.run_id == samples.c.run_id).join(scores, scores.c.run_id == samples.c.run_id)
    query = select(runs.c.run_id, runs.c.version, samples.c.began_at, samples.c.rate, scores.c.score).select_from(drawn)
    query = query.where(
        samples.c.workflow == workflow,
        samples.c.state == SCORED,
        samples.c.began_at >= baseline,
        samples.c.began_at < until,
        scores.c.evaluator == evaluator,
        scores.c.score.is_not(None),
        scores.c.experiment_id.is_(None),
    ).order_by(samples.c.began_at, runs.c.run_id, scores.c.created_at)
    rows = list({row.run_id: row for row in connection.execute(query)}.values())
    before = [row for row in rows if row.began_at < since]
    after = [row for row in rows if row.began_at >= since and row.version.startswith(version)]
    if len(before) < LEAST or not after:
        return None
    weights = [1 / row.rate for row in before]
    level = sum(weight * row.score for weight, row in zip(weights, before, strict=True)) / sum(weights)
    usual = fmean(weights)
    off = [(row.score - level) / row.rate / usual for row in before]
    spread = max(stdev(off), _LEAST_SPREAD)
    since_then = [(row.score - level) / row.rate / usual for row in after]
    change = cusum(since_then, target=0.0, spread=spread, allowance=allowance, threshold=threshold)
    sign = -1 if change.down >= change.up else 1
    first, last = (change.began or 0), len(after) if change.at is None else change.at + 1
    grew = [row.run_id for row, by in zip(after[first:last], since_then[first:last], strict=True) if by * sign > 0]
    return ScoreDrift(level, spread, len(before), len(after), change, grew)


async def input_drift(
    ledger: SqlLedger, workflow: str, *, baseline: datetime, since: datetime, until: datetime
) -> InputDrift | None:
    """Compare the words of inputs by the distance of Jensen and Shannon; None where too few are there.

    Words are counted in 256 buckets, by their checksum, so that none of them is kept. It is worked out in a thread.
    """
    before = await ledger.read(lambda connection: _inputs(connection, workflow, baseline, since))
    after = await ledger.read(lambda connection: _inputs(connection, workflow, since, until))
    if min(len(before), len(after)) < LEAST:
        return None
    found = await asyncio.to_thread(apart, [words for _, words in before], [words for _, words in after])
    return InputDrift(found, len(before), len(after), [run_id for run_id, _ in after[:10]])


def _inputs(
    connection: Connection, workflow: str, since: datetime, until: datetime
) -> list[tuple[str, Counter[Hashable]]]:
    query = select(runs.c.run_id, runs.c.input_payload).where(
        runs.c.workflow == workflow,
        runs.c.started_at >= since,
        runs.c.started_at < until,
        runs.c.origin.not_in(NO_TRAFFIC),
        runs.c.input_payload.is_not(None),
    )
    rows = connection.execute(query.order_by(runs.c.started_at.desc()).limit(MOST_INPUTS)).all()
    said = values_at(connection, [row.input_payload for row in rows])
    counted = [(row.run_id, Counter[Hashable](_buckets(value))) for row, value in zip(rows, said, strict=True)]
    return [(run_id, words) for run_id, words in counted if words]


def _buckets(value: Any) -> list[int]:
    if isinstance(value, str):
        return [crc32(word.encode(errors="replace")) % _BUCKETS for word in _WORD.findall(value.lower())]
    if isinstance(value, Mapping):
        return [one for inner in cast("Mapping[str, Any]", value).values() for one in _buckets(inner)]
    if isinstance(value, list):
        return [one for inner in cast("list[Any]", value) for one in _buckets(inner)]
    return []

"""How batches stand: what of them has ended and how, what they cost, and when they will be done."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, case, func, select

from engine.control_records import BatchRecord
from engine.records import RunStatus
from engine.store.ledger import SqlLedger
from engine.store.tables import runs
from engine.usage import to_usd

_OPEN = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING)
_LATELY = timedelta(minutes=1)
_PER = Decimal("1e-9")  # a quotient of dollars is rounded to nano-USD


@dataclass(slots=True, kw_only=True)
class BatchRow:
    """A batch and its runs.

    Attributes:
        counts: runs by status.
        cost_usd: what its runs are known to have cost.
        unpriced: runs that ended and whose cost is not known.
        runs_per_s: how many ended a second, in the last minute that it was worked on.
        eta_s: in how many seconds all will have ended at that pace; None if nobody knows. Who waits for a person is
            not waited for.
    """

    batch: BatchRecord
    counts: dict[str, int] = field(default_factory=dict[str, int])
    cost_usd: Decimal = Decimal(0)
    unpriced: int = 0
    runs_per_s: float | None = None
    eta_s: float | None = None

    @property
    def runs(self) -> int:
        """How many runs it has."""
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        """How many are queued or worked on."""
        return sum(self.counts.get(status, 0) for status in (RunStatus.QUEUED, RunStatus.RUNNING))

    @property
    def ended(self) -> int:
        """How many have come to an end."""
        return sum(count for status, count in self.counts.items() if status not in _OPEN)

    @property
    def usd_per_succeeded(self) -> Decimal | None:
        """The known cost over the runs that succeeded; None without one."""
        succeeded = self.counts.get(RunStatus.SUCCEEDED, 0)
        return (self.cost_usd / succeeded).quantize(_PER) if succeeded else None

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON; dollars are text, so that nothing is rounded."""
        per, cancelled = self.usd_per_succeeded, self.batch.cancelled_at
        return {
            "batch_id": self.batch.batch_id,
            "name": self.batch.name,
            "workflow": self.batch.workflow,
            "created_at": self.batch.created_at.isoformat(),
            "cancelled_at": None if cancelled is None else cancelled.isoformat(),
            "runs": self.runs,
            "ended": self.ended,
            "counts": self.counts,
            "cost_usd": f"{self.cost_usd:f}",
            "usd_per_succeeded": None if per is None else f"{per:f}",
            "unpriced": self.unpriced,
            "runs_per_s": self.runs_per_s,
            "eta_s": self.eta_s,
        }


async def standing(ledger: SqlLedger, batches: Sequence[BatchRecord], now: datetime) -> list[BatchRow]:
    """Give how some batches stand, in their order."""
    return await ledger.read(lambda connection: _standing(connection, batches, now))


def _standing(connection: Connection, batches: Sequence[BatchRecord], now: datetime) -> list[BatchRow]:
    is_unpriced = runs.c.cost_nano_usd.is_(None) & runs.c.claimed_at.is_not(None) & runs.c.status.not_in(_OPEN)
    is_late = runs.c.claimed_at.is_not(None) & (runs.c.ended_at > now - _LATELY)
    query = (
        select(
            runs.c.batch_id,
            runs.c.status,
            func.count().label("count"),
            func.coalesce(func.sum(runs.c.cost_nano_usd), 0).label("nano_usd"),
            func.sum(case((is_unpriced, 1), else_=0)).label("unpriced"),
            func.sum(case((is_late, 1), else_=0)).label("lately"),
            func.count(case((runs.c.claimed_at.is_not(None), runs.c.ended_at))).label("worked_on"),
            func.min(runs.c.claimed_at).label("first_at"),
        )
        .where(runs.c.batch_id.in_([batch.batch_id for batch in batches]))
        .group_by(runs.c.batch_id, runs.c.status)
    )
    found: dict[str, list[Any]] = {}
    for row in connection.execute(query):
        found.setdefault(row.batch_id, []).append(row)
    return [_row(batch, found.get(batch.batch_id, []), now) for batch in batches]


def _row(batch: BatchRecord, rows: Sequence[Any], now: datetime) -> BatchRow:
    made = BatchRow(
        batch=batch,
        counts={row.status: row.count for row in sorted(rows, key=lambda row: row.status)},
        cost_usd=to_usd(sum(int(row.nano_usd) for row in rows)) or Decimal(0),
        unpriced=sum(int(row.unpriced) for row in rows),
    )
    begun = [row.first_at for row in rows if row.first_at is not None]
    if begun and (now - min(begun)).total_seconds() > 0:
        since = now - min(begun)
        lately = sum(int(row.lately) for row in rows)
        ended, span = (lately, min(since, _LATELY)) if lately else (sum(row.worked_on for row in rows), since)
        made.runs_per_s = ended / span.total_seconds()
    if made.left and made.runs_per_s:
        made.eta_s = made.left / made.runs_per_s
    return made

"""The versions of workflows that a ledger knows, and what became of their runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, select

from engine.records import RunStatus
from engine.replay_records import REPLAY
from engine.store.tables import runs, versions
from engine.usage import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version and its runs, replays left out.

    Attributes:
        cost_nano_usd: the known cost of its runs.
    """

    workflow: str
    version: str
    created_at: datetime
    runs: int
    succeeded: int
    last_run_at: datetime | None
    cost_nano_usd: int | None

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        cost = to_usd(self.cost_nano_usd)
        return {
            "workflow": self.workflow,
            "version": self.version,
            "created_at": self.created_at.isoformat(),
            "runs": self.runs,
            "succeeded": self.succeeded,
            "last_run_at": self.last_run_at and self.last_run_at.isoformat(),
            "cost_usd": None if cost is None else f"{cost:f}",
        }


def version_rows(connection: Connection, workflow: str | None) -> Sequence[VersionRow]:
    """Give the versions of a workflow, or of all, the latest first."""
    mine = (runs.c.version == versions.c.version) & (runs.c.origin != REPLAY)
    query = (
        select(
            versions.c.workflow,
            versions.c.version,
            versions.c.created_at,
            func.count(runs.c.run_id).label("runs"),
            func.sum(case((runs.c.status == RunStatus.SUCCEEDED, 1), else_=0)).label("succeeded"),
            func.max(runs.c.started_at).label("last_run_at"),
            func.sum(runs.c.cost_nano_usd).label("cost"),
        )
        .outerjoin(runs, mine)
        .group_by(versions.c.workflow, versions.c.version, versions.c.created_at)
        .order_by(versions.c.workflow, versions.c.created_at.desc())
    )
    query = query if workflow is None else query.where(versions.c.workflow == workflow)
    return [
        VersionRow(
            workflow=row.workflow,
            version=row.version,
            created_at=row.created_at,
            runs=row.runs,
            succeeded=int(row.succeeded or 0),
            last_run_at=row.last_run_at,
            cost_nano_usd=None if row.cost is None else int(row.cost),
        )
        for row in connection.execute(query)
    ]

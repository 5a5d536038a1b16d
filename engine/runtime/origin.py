"""Who a run is for, where it comes from, and the row that it begins with."""

from dataclasses import dataclass
from datetime import datetime

from engine.definition.workflow import Workflow
from engine.records import RunRecord, RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who a run is for and where it comes from."""

    tenant: str | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    origin: str = "run"
    parent_run_id: str | None = None
    engine_version: str = ""
    git_commit: str | None = None

    def record(self, workflow: Workflow, run_id: str, status: RunStatus, now: datetime) -> RunRecord:
        """Give the row of a run that begins."""
        return RunRecord(
            run_id=run_id,
            workflow=workflow.name,
            version=workflow.version,
            status=status,
            started_at=now,
            origin=self.origin,
            parent_run_id=self.parent_run_id,
            tenant=self.tenant,
            user_id=self.user_id,
            conversation_id=self.conversation_id,
            engine_version=self.engine_version,
            git_commit=self.git_commit,
        )

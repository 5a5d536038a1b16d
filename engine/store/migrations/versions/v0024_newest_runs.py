"""Indexes of the newest runs and of those that a worker has, for that of every worker that ever had a run."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    is_running = sa.text("status = 'running'")
    op.create_index("ix_runs_started_at", "runs", ["started_at"])
    op.create_index("ix_runs_running", "runs", ["worker_id"], sqlite_where=is_running, postgresql_where=is_running)
    op.drop_index("ix_runs_worker_id_status", "runs")

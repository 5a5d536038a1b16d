"""Schedules, batches, and what people said about runs and queues."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    texts = ("schedule_id", "cron", "zone", "workflow", "queue", "catch_up", "overlap")
    op.create_table(
        "schedules",
        sa.Column("name", sa.String(), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in texts),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("priority", "most")),
        sa.Column("given", sa.JSON(), nullable=False),
        *(sa.Column(name, _TIME, nullable=False) for name in ("created_at", "next_at")),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("lane", "tenant", "user_id", "run_id", "trouble")),
        *(sa.Column(name, _TIME, nullable=True) for name in ("paused_at", "fired_at", "claimed_until")),
    )
    op.create_table(
        "batches",
        sa.Column("batch_id", sa.String(), primary_key=True),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("cancelled_at", _TIME, nullable=True),
    )
    op.create_index("ix_batches_name", "batches", ["name"], unique=True)
    op.create_table(
        "control_events",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("before", "after")),
        sa.Column("by", sa.String(), nullable=True),
    )
    op.create_index("ix_control_events_at", "control_events", ["at"])
    for name, other in (("batch_id", "status"), ("schedule", "started_at")):
        op.add_column("runs", sa.Column(name, sa.String(), nullable=True))
        named = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_runs_{name}_{other}", "runs", [name, other], sqlite_where=named, postgresql_where=named)

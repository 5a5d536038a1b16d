"""Sampled runs, and alarms with their events and deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "samplings",
        sa.Column("workflow", sa.String(), primary_key=True),
        sa.Column("place", _AT, nullable=False),
        sa.Column("next_at", _AT, nullable=False),
        sa.Column("claimed_until", _AT, nullable=True),
    )
    op.create_table(
        "samples",
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("began_at", _AT, nullable=False),
        sa.Column("stratum", sa.String(), nullable=True),
        sa.Column("rate", sa.Double(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("scored_at", _AT, nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
    )
    op.create_index("ix_samples_workflow_state_began_at", "samples", ["workflow", "state", "began_at"])
    op.create_index(
        "ix_runs_parent_run_id",
        "runs",
        ["parent_run_id"],
        sqlite_where=sa.text("parent_run_id IS NOT NULL"),
        postgresql_where=sa.text("parent_run_id IS NOT NULL"),
    )
    _alarms()


def _alarms() -> None:
    op.create_table(
        "alarms",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("next_at", _AT, nullable=False),
        sa.Column("since", _AT, nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("many", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", _AT, nullable=True),
        sa.Column("claimed_until", _AT, nullable=True),
        sa.Column("silenced_until", _AT, nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
    )
    op.create_table(
        "alarm_events",
        sa.Column("alarm", sa.String(), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("many", sa.BigInteger(), nullable=False),
        sa.Column("runs", sa.JSON(), nullable=False),
        sa.Column("levers", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
    )
    op.create_table(
        "alarm_deliveries",
        sa.Column("alarm", sa.String(), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("sink", sa.String(), primary_key=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_at", _AT, nullable=True),
        sa.Column("delivered_at", _AT, nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
    )
    op.create_index(
        "ix_alarm_deliveries_next_at",
        "alarm_deliveries",
        ["next_at"],
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )

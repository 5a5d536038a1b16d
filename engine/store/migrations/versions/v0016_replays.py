"""Releases of versions, replays of many runs, and the name under which a run was queued."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "releases",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
    )
    op.create_index("ix_releases_name", "releases", ["name"])
    op.create_table(
        "replay_batches",
        sa.Column("batch_id", sa.String(), primary_key=True),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("runs", sa.JSON(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_table(
        "batch_replays",
        sa.Column("batch_id", sa.String(), primary_key=True),
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("replay_run_id", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("difference", sa.String(), nullable=True),
        sa.Column("played", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.BigInteger(), nullable=False),
        sa.Column("spent_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("cost_before_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("cost_after_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("calls_before_ns", sa.BigInteger(), nullable=False),
        sa.Column("calls_after_ns", sa.BigInteger(), nullable=False),
    )
    op.add_column("queue_entries", sa.Column("release", sa.String(), nullable=True))

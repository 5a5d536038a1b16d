"""Runs that wait for a worker, the lanes that take turns, and what was said about queues."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_MAY_BE_TAKEN = sa.text("available_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "queue_entries",
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("enqueued_at", _TIME, nullable=False),
        sa.Column("available_at", _TIME, nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("deaths", sa.BigInteger(), nullable=False),
    )
    op.create_index(
        "ix_queue_entries_turn",
        "queue_entries",
        ["queue", "lane", sa.text("priority DESC"), "available_at"],
        sqlite_where=_MAY_BE_TAKEN,
        postgresql_where=_MAY_BE_TAKEN,
    )
    op.create_table(
        "lanes",
        sa.Column("queue", sa.String(), primary_key=True),
        sa.Column("lane", sa.String(), primary_key=True),
        sa.Column("last_enqueued_at", _TIME, nullable=False),
        sa.Column("max_running", sa.BigInteger(), nullable=True),
        sa.Column("last_claim_at", _TIME, nullable=True),
    )
    op.create_table(
        "queues",
        sa.Column("queue", sa.String(), primary_key=True),
        sa.Column("paused_at", _TIME, nullable=True),
    )

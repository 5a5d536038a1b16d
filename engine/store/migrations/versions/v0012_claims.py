"""What a claim reads: which runs are worked on, whose turn it is, and limits beside those of lanes."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_IS_AT_WORK = sa.text("taken_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("queue_entries", sa.Column("workflow", sa.String(), nullable=False, server_default=""))
    op.add_column("queue_entries", sa.Column("resource", sa.String(), nullable=True))
    op.add_column("queue_entries", sa.Column("taken_at", _TIME, nullable=True))
    of_run = "FROM runs WHERE runs.run_id = queue_entries.run_id"
    op.execute(f"UPDATE queue_entries SET workflow = (SELECT workflow {of_run})")  # noqa: S608 - no user text
    at_work = f"EXISTS (SELECT 1 {of_run} AND status = 'running')"
    op.execute(f"UPDATE queue_entries SET taken_at = enqueued_at WHERE available_at IS NULL AND {at_work}")  # noqa: S608
    op.create_index(
        "ix_queue_entries_at_work",
        "queue_entries",
        ["queue", "lane"],
        sqlite_where=_IS_AT_WORK,
        postgresql_where=_IS_AT_WORK,
    )
    op.add_column("lanes", sa.Column("starts_per_second", sa.Double(), nullable=True))
    op.execute("ALTER TABLE lanes RENAME COLUMN last_enqueued_at TO began_at")
    op.add_column("lanes", sa.Column("next_start_at", _TIME, nullable=True))
    op.execute("UPDATE lanes SET last_claim_at = '1970-01-01 00:00:00.000000' WHERE last_claim_at IS NULL")
    op.create_index("ix_lanes_turn", "lanes", ["queue", "last_claim_at", "lane"])
    op.create_table(
        "queue_limits",
        sa.Column("queue", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("max_running", sa.BigInteger(), nullable=False),
    )

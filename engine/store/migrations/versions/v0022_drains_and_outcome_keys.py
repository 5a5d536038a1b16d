"""Workers that are asked to take no more runs, when delayed runs are due, and outcomes that are said once."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("drain_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("outcomes", sa.Column("idempotency_key", sa.String(), nullable=True))
    is_delayed = sa.text("available_at > enqueued_at")
    op.create_index(
        "ix_queue_entries_delayed",
        "queue_entries",
        ["queue", "available_at"],
        sqlite_where=is_delayed,
        postgresql_where=is_delayed,
    )

"""The order of a lane by its index alone, or a claim would sort the whole lane."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_MAY_BE_TAKEN = sa.text("available_at IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_queue_entries_turn", "queue_entries")
    op.create_index(
        "ix_queue_entries_turn",
        "queue_entries",
        ["queue", "lane", sa.text("priority DESC"), "available_at", "enqueued_at"],
        sqlite_where=_MAY_BE_TAKEN,
        postgresql_where=_MAY_BE_TAKEN,
    )

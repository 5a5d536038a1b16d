"""Which of several models a step asked, how long calls waited, what prices go by, and texts that are alike."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("steps", sa.Column("routed", sa.String(), nullable=True))
    op.add_column("calls", sa.Column("waited_ns", sa.BigInteger(), nullable=True))
    op.add_column("calls", sa.Column("price_terms", sa.String(), nullable=True))
    for name in ("group_key", "vector"):
        op.add_column("cache_entries", sa.Column(name, sa.String(), nullable=True))
    grouped = sa.text("group_key IS NOT NULL")
    op.create_index(
        "ix_cache_entries_group_key",
        "cache_entries",
        ["group_key", "created_at"],
        sqlite_where=grouped,
        postgresql_where=grouped,
    )

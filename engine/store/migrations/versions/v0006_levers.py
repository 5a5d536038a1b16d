"""What a step did without and what it saved, and what is known of targets."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("steps", sa.Column("degraded", sa.String(), nullable=True))
    op.add_column("steps", sa.Column("saved_nano_usd", sa.BigInteger(), nullable=True))
    op.add_column("steps", sa.Column("saved_tokens", sa.BigInteger(), nullable=True))
    op.create_table(
        "breakers",
        sa.Column("target", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("changed_at", _TIME, nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("probe_until", _TIME, nullable=True),
    )
    op.create_table(
        "cache_entries",
        sa.Column("cache_key", sa.String(), primary_key=True),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("node_name", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=True),
        sa.Column("update_payload", sa.String(), nullable=False),
        sa.Column("saved_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("saved_tokens", sa.BigInteger(), nullable=False),
        sa.Column("made_by_run_id", sa.String(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
    )
    op.create_index("ix_cache_entries_expires_at", "cache_entries", ["expires_at"])

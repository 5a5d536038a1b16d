"""Indexes of the few steps that reports ask for: taken over, with a choice of models, or cheaper for a cache."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0016"

_INDEXES = {
    "fallback_to": ["run_id", "step_id"],
    "routed": ["run_id"],
    "saved_nano_usd": ["run_id", "cached", "saved_nano_usd"],
}


def upgrade() -> None:
    for name, columns in _INDEXES.items():
        has_one = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_steps_{name}", "steps", columns, sqlite_where=has_one, postgresql_where=has_one)

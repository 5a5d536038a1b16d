"""Workers that are asked to take no more runs, and outcomes that are said once."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("drain_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("outcomes", sa.Column("idempotency_key", sa.String(), nullable=True))

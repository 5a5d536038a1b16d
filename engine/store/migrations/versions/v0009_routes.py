"""Which of several models a step asked, how long a call waited for room, and what its price goes by besides."""

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

"""What windows of time have spent, what runs hold of them, and the budgets that resumed runs were given."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, keys in (("spend_windows", ()), ("spend_holds", ("run_id",))):
        op.create_table(
            name,
            sa.Column("limit_key", sa.String(), primary_key=True),
            sa.Column("begins_at", sa.DateTime(timezone=True), primary_key=True),
            *(sa.Column(key, sa.String(), primary_key=True) for key in keys),
            sa.Column("settled_nano_usd", sa.BigInteger(), nullable=False),
            sa.Column("held_nano_usd", sa.BigInteger(), nullable=False),
        )
    op.create_index("ix_spend_holds_run_id", "spend_holds", ["run_id"])
    op.add_column("runs", sa.Column("budget_payload", sa.String(), nullable=True))

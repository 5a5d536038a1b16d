"""How long guardrails took, and which calls are those of their judges."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "guard_times",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("guardrail", sa.String(), nullable=False),
        sa.Column("duration_ns", sa.BigInteger(), nullable=False),
        sa.Column("checks", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_guard_times_run_id", "guard_times", ["run_id"])
    is_judges = sa.text("purpose = 'guard'")
    op.create_index("ix_calls_guard", "calls", ["run_id"], sqlite_where=is_judges, postgresql_where=is_judges)

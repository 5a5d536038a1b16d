"""The numbers of events, and the events that nodes tell."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, column in (("steps", "end_seq"), ("calls", "seq"), ("calls", "end_seq"), ("questions", "seq")):
        op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=True))
    op.create_table(
        "events",
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), primary_key=True),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("node_name", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("data_payload", sa.String(), nullable=False),
        sa.Column("emitted_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_with_rowid=False,
    )

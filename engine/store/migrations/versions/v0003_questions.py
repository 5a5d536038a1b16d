"""Steps inside steps, questions to people, and conversations."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_IS_TURN = sa.text("conversation_id IS NOT NULL")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("steps", sa.Column("parent_step_id", sa.String(), nullable=True))
    op.add_column("steps", sa.Column("item", sa.BigInteger(), nullable=True))
    op.create_table(
        "questions",
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("question_id", sa.String(), primary_key=True),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("node_name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("shown_payload", sa.String(), nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("schema_payload", sa.String(), nullable=True),
        sa.Column("deadline_at", _TIME, nullable=True),
        sa.Column("default_payload", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("answer_payload", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("answered_at", _TIME, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_runs_conversation_id_ended_at",
        "runs",
        ["conversation_id", "ended_at"],
        sqlite_where=_IS_TURN,
        postgresql_where=_IS_TURN,
    )

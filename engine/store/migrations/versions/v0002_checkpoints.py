"""Checkpoints, workers and fences; steps that begin more than once; payloads by their address alone."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("calls", sa.Column("step_started_at", _TIME, nullable=True))
    op.add_column("calls", sa.Column("diverged_from", sa.String(), nullable=True))
    op.add_column("calls", sa.Column("resolution", sa.String(), nullable=True))
    op.add_column("runs", sa.Column("fence", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("runs", sa.Column("worker_id", sa.String(), nullable=True))
    op.add_column("runs", sa.Column("claimed_at", _TIME, nullable=True))
    op.add_column("runs", sa.Column("cancel_requested_at", _TIME, nullable=True))
    op.create_index("ix_runs_worker_id_status", "runs", ["worker_id", "status"])
    _steps()
    _payloads()
    _workers()
    _checkpoints()


def _steps() -> None:
    """Make a visit and how often it was begun the key of a step."""
    op.rename_table("steps", "steps_before")
    op.drop_index("ix_steps_run_id", "steps_before")
    columns = [
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("node_name", sa.String(), nullable=False),
        sa.Column("node_kind", sa.String(), nullable=False),
        sa.Column("visit", sa.BigInteger(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("duration_ns", sa.BigInteger(), nullable=True),
        sa.Column("cached", sa.Boolean(), nullable=False),
        sa.Column("goto", sa.String(), nullable=True),
        sa.Column("fallback_to", sa.String(), nullable=True),
        sa.Column("input_payload", sa.String(), nullable=True),
        sa.Column("update_payload", sa.String(), nullable=True),
        sa.Column("error_type", sa.String(), nullable=True),
        sa.Column("error_message", sa.String(), nullable=True),
    ]
    op.create_table("steps", *columns, sa.PrimaryKeyConstraint("step_id", "attempt", name="pk_steps"))
    names = [column.name for column in columns]
    values = ", ".join("1" if name == "attempt" else name for name in names)
    op.execute(f"INSERT INTO steps ({', '.join(names)}) SELECT {values} FROM steps_before")  # noqa: S608 - our own names
    op.drop_table("steps_before")
    op.create_index("ix_steps_run_id", "steps", ["run_id"])


def _payloads() -> None:
    """Keep payloads under their address alone; only SQLite kept it twice."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.rename_table("payloads", "payloads_before")
    op.create_table(
        "payloads",
        sa.Column("sha256", sa.String(), primary_key=True),
        sa.Column("encoding", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO payloads SELECT sha256, encoding, size, content FROM payloads_before")
    op.drop_table("payloads_before")


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("worker_id", sa.String(), primary_key=True),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("process_id", sa.BigInteger(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("beat_at", _TIME, nullable=False),
    )


def _checkpoints() -> None:
    op.create_table(
        "checkpoint_streams",
        sa.Column("sid", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("thread_id", sa.String(), nullable=False),
        sa.Column("checkpoint_ns", sa.String(), nullable=False),
        sa.UniqueConstraint("thread_id", "checkpoint_ns"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("sid", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("checkpoint_id", sa.String(), primary_key=True),
        sa.Column("parent_id", sa.String(), nullable=True),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("addresses", sa.LargeBinary(), nullable=True),
        sa.Column("metadata", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    given = sa.text("run_id IS NOT NULL")
    op.create_index("ix_checkpoints_run_id", "checkpoints", ["run_id"], sqlite_where=given, postgresql_where=given)
    op.create_table(
        "checkpoint_blobs",
        sa.Column("sid", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("channel", sa.String(), primary_key=True),
        sa.Column("version", sa.BigInteger(), primary_key=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoint_writes",
        sa.Column("sid", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("checkpoint_id", sa.String(), primary_key=True),
        sa.Column("task_id", sa.String(), primary_key=True),
        sa.Column("idx", sa.Integer(), primary_key=True),
        sa.Column("task_path", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )

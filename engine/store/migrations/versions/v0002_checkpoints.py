"""Checkpoints, workers and fences; steps that begin more than once; payloads by their address alone."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("runs", sa.Column("fence", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("runs", sa.Column("worker_id", sa.String(), nullable=True))
    op.add_column("runs", sa.Column("claimed_at", _TIME, nullable=True))
    op.add_column("runs", sa.Column("cancel_requested_at", _TIME, nullable=True))
    op.create_index("ix_runs_worker_id_status", "runs", ["worker_id", "status"])
    _steps()
    _calls()
    _payloads()
    _workers()
    _checkpoints()


def _steps() -> None:
    """Store steps by run, visit, and how often the visit was begun."""
    columns = [
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("node_name", sa.String(), nullable=False),
        sa.Column("node_kind", sa.String(), nullable=False),
        sa.Column("visit", sa.BigInteger(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
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
    _store_again("steps", columns, ("run_id", "step_id", "attempt"), fresh={"attempt": "1"}, indexes=("run_id",))


def _calls() -> None:
    """Store calls by run."""
    before = sa.Table("calls", sa.MetaData(), autoload_with=op.get_bind())
    columns = [sa.Column(one.name, one.type, nullable=one.nullable) for one in before.columns]
    columns += [
        sa.Column("step_started_at", _TIME, nullable=True),
        sa.Column("diverged_from", sa.String(), nullable=True),
        sa.Column("resolution", sa.String(), nullable=True),
    ]
    fresh = {"step_started_at": "NULL", "diverged_from": "NULL", "resolution": "NULL"}
    _store_again("calls", columns, ("run_id", "call_id"), fresh=fresh, indexes=("run_id", "step_id"))


def _store_again(
    table: str, columns: list[sa.Column], key: tuple[str, ...], *, fresh: dict[str, str], indexes: tuple[str, ...]
) -> None:
    """Copy a table into one with another key; its indexes by one column go."""
    op.rename_table(table, f"{table}_before")
    for index in indexes:
        op.drop_index(f"ix_{table}_{index}", f"{table}_before")
    op.create_table(table, *columns, sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"), sqlite_with_rowid=False)
    names = [column.name for column in columns]
    values = ", ".join(fresh.get(name, name) for name in names)
    op.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table}_before")  # noqa: S608 - our names
    op.drop_table(f"{table}_before")


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

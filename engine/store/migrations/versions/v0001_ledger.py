"""The first tables of the ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _calls()
    _outcomes()
    _payloads()
    _runs()
    _steps()
    _verdicts()
    _versions()


def downgrade() -> None:
    op.drop_table("versions")
    op.drop_table("verdicts")
    op.drop_table("steps")
    op.drop_table("runs")
    op.drop_table("payloads")
    op.drop_table("outcomes")
    op.drop_table("calls")


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("call_id", sa.String(), primary_key=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("node_name", sa.String(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("operation_name", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("duration_ns", sa.BigInteger(), nullable=True),
        sa.Column("time_to_first_chunk_ns", sa.BigInteger(), nullable=True),
        sa.Column("provider_name", sa.String(), nullable=True),
        sa.Column("request_model", sa.String(), nullable=True),
        sa.Column("response_model", sa.String(), nullable=True),
        sa.Column("response_id", sa.String(), nullable=True),
        sa.Column("finish_reason", sa.String(), nullable=True),
        sa.Column("request_max_tokens", sa.BigInteger(), nullable=True),
        sa.Column("prompt_name", sa.String(), nullable=True),
        sa.Column("prompt_version", sa.String(), nullable=True),
        sa.Column("tool_name", sa.String(), nullable=True),
        sa.Column("tool_effect", sa.String(), nullable=True),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("retriever_version", sa.String(), nullable=True),
        sa.Column("request_payload", sa.String(), nullable=True),
        sa.Column("response_payload", sa.String(), nullable=True),
        sa.Column("usage_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("usage_cache_read_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("usage_cache_write_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("usage_output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("usage_reasoning_output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cost_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("cost_source", sa.String(), nullable=True),
        sa.Column("price_catalogue_id", sa.String(), nullable=True),
        sa.Column("charged_tokens", sa.BigInteger(), nullable=False),
        sa.Column("charged_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("error_type", sa.String(), nullable=True),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.Column("retry_after_s", sa.Double(), nullable=True),
    )
    op.create_index("ix_calls_run_id", "calls", ["run_id"])
    op.create_index("ix_calls_step_id", "calls", ["step_id"])


def _outcomes() -> None:
    op.create_table(
        "outcomes",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("success", sa.Boolean(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
    )
    op.create_index("ix_outcomes_run_id", "outcomes", ["run_id"])


def _payloads() -> None:
    op.create_table(
        "payloads",
        sa.Column("sha256", sa.String(), primary_key=True),
        sa.Column("encoding", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("duration_ns", sa.BigInteger(), nullable=True),
        sa.Column("input_payload", sa.String(), nullable=True),
        sa.Column("output_payload", sa.String(), nullable=True),
        sa.Column("bundle_payload", sa.String(), nullable=True),
        sa.Column("error_type", sa.String(), nullable=True),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.Column("error_node", sa.String(), nullable=True),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("parent_run_id", sa.String(), nullable=True),
        sa.Column("tenant", sa.String(), nullable=True),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("conversation_id", sa.String(), nullable=True),
        sa.Column("engine_version", sa.String(), nullable=False),
        sa.Column("git_commit", sa.String(), nullable=True),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("usage_input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("usage_output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_nano_usd", sa.BigInteger(), nullable=True),
    )
    op.create_index("ix_runs_status_started_at", "runs", ["status", "started_at"])
    op.create_index("ix_runs_tenant", "runs", ["tenant"])
    op.create_index("ix_runs_workflow_started_at", "runs", ["workflow", "started_at"])


def _steps() -> None:
    op.create_table(
        "steps",
        sa.Column("step_id", sa.String(), primary_key=True),
        sa.Column("run_id", sa.String(), nullable=False),
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
    )
    op.create_index("ix_steps_run_id", "steps", ["run_id"])


def _verdicts() -> None:
    op.create_table(
        "verdicts",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("guardrail", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("step_id", sa.String(), nullable=True),
        sa.Column("node_name", sa.String(), nullable=True),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("spans", sa.JSON(), nullable=False),
    )
    op.create_index("ix_verdicts_run_id", "verdicts", ["run_id"])


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
    )

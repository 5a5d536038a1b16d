"""Datasets and their cases, experiments, and scores of runs."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("cases", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "cases",
        sa.Column("dataset", sa.String(), primary_key=True),
        sa.Column("case_id", sa.String(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("input", sa.String(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("split", sa.String(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("must_pass", sa.Boolean(), nullable=False),
        *_texts("expected", "recorded", "cluster", "run_id", "workflow", "version"),
    )
    op.create_index("ix_cases_dataset_position", "cases", ["dataset", "position"])
    op.create_table(
        "experiments",
        sa.Column("experiment_id", sa.String(), primary_key=True),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("dataset_version", sa.String(), nullable=False),
        sa.Column("trials", sa.BigInteger(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *_texts("split", "name"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_table(
        "scores",
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("evaluator", sa.String(), primary_key=True),
        sa.Column("evaluator_version", sa.String(), primary_key=True),
        sa.Column("deterministic", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        *_texts("explanation", "experiment_id", "case_id"),
        sa.Column("trial", sa.BigInteger(), nullable=True),
        *_texts("judge_run_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_scores_experiment_id", "scores", ["experiment_id"])


def _texts(*names: str) -> "list[sa.Column]":
    return [sa.Column(name, sa.String(), nullable=True) for name in names]

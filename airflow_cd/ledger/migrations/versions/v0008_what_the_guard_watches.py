"""Tasks say that they live and how their environment is reached; the guard says what it found and did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from airflow_cd.errors import LedgerRefused

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Three tables, and an index over them for each question that is asked every few seconds."""
    op.create_table(
        "cd_work",
        sa.Column("service", sa.String(250), nullable=False),
        sa.Column("environment", sa.String(100), nullable=False),
        sa.Column("pipeline", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("target", sa.JSON()),
        sa.Column("timeout", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.String(250), nullable=False),
        sa.Column("process", sa.String(250), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", "pipeline", "run_id", name="pk_cd_work"),
    )
    op.create_index("ix_cd_work_over", "cd_work", ["over"])
    op.create_table(
        "cd_guard",
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(250), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_cd_guard"),
    )
    op.create_table(
        "cd_guard_finding",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("service", sa.String(250), nullable=False),
        sa.Column("environment", sa.String(100), nullable=False),
        sa.Column("pipeline", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("deployment_id", sa.String(36)),
        sa.Column("cause", sa.String(20), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_guard_finding"),
    )
    op.create_index("ix_cd_guard_finding_pipeline_run_id_seq", "cd_guard_finding", ["pipeline", "run_id", "seq"])
    op.create_index("ix_cd_guard_finding_ended_at_seq", "cd_guard_finding", ["ended_at", "seq"])


def downgrade() -> None:
    """Refuse: what was recorded since would be lost."""
    raise LedgerRefused("a ledger never goes back to an older version.", next_step="Restore a backup.")

"""A deployment may roll back one that was promoted, and says which commits it brings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from airflow_cd.errors import LedgerRefused

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns that are empty for whatever was recorded before, and indexes for pages over many deployments."""
    op.add_column("cd_deployment", sa.Column("rolls_back", sa.String(36)))
    op.add_column("cd_deployment", sa.Column("commits", sa.JSON()))
    op.add_column("cd_question", sa.Column("commits", sa.JSON()))
    figures = ["settled_at", "verdict_at", "opened_at", "requested_at", "first_bad_at", "safe_at", "restored_at"]
    op.create_index(
        "ix_cd_deployment_figures",
        "cd_deployment",
        ["environment", "state", "rolls_back", *figures, "service", "pipeline"],
    )
    op.create_index("ix_cd_deployment_rolls_back", "cd_deployment", ["rolls_back"])
    op.create_index("ix_cd_verdict_verdict_final_deployment_id", "cd_verdict", ["verdict", "final", "deployment_id"])
    op.create_index("ix_cd_question_option_asked_at", "cd_question", ["option", "asked_at"])


def downgrade() -> None:
    """Refuse: what was recorded since would be lost."""
    raise LedgerRefused("a ledger never goes back to an older version.", next_step="Restore a backup.")

"""A ledger has an identity; a lease is given in the order of requests; a deployment says which run ended it."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone

import sqlalchemy as sa
from alembic import op

from airflow_cd.errors import LedgerRefused

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """One table with one row, and columns that say nothing of what was recorded before."""
    made = op.create_table(
        "cd_ledger",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("identity", sa.String(36), nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_cd_ledger"),
    )
    op.bulk_insert(made, [{"number": 1, "identity": str(uuid.uuid4()), "made_at": datetime.now(timezone.utc)}])
    op.add_column("cd_lease_request", sa.Column("requested_at", _TIME))
    op.add_column("cd_lease_request", sa.Column("task_id", sa.String(250)))
    op.add_column("cd_lease_request", sa.Column("going_back", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("cd_deployment", sa.Column("ended_by_pipeline", sa.String(250)))
    op.add_column("cd_deployment", sa.Column("ended_by_run", sa.String(250)))


def downgrade() -> None:
    """Refuse: what was recorded since would be lost."""
    raise LedgerRefused("a ledger never goes back to an older version.", next_step="Restore a backup.")

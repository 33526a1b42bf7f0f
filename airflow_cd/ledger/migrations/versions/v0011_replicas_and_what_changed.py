"""Instances have a track, a weight and a start; a deployment says what changed where its version does not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from airflow_cd.errors import LedgerRefused

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns that say nothing of what was recorded before."""
    op.add_column("cd_instance", sa.Column("track", sa.String(20)))
    op.add_column("cd_instance", sa.Column("weight", sa.Float()))
    op.add_column("cd_instance", sa.Column("started", sa.DateTime(timezone=True)))
    op.add_column("cd_deployment", sa.Column("changed", sa.Text()))


def downgrade() -> None:
    """Refuse: what was recorded since would be lost."""
    raise LedgerRefused("a ledger never goes back to an older version.", next_step="Restore a backup.")

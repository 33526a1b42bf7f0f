"""A deployment says why it is rolled back, and whether it is the first one in its environment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from airflow_cd.errors import LedgerRefused

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns that say nothing of what was recorded before."""
    op.add_column("cd_deployment", sa.Column("cause", sa.String(20)))
    op.add_column("cd_deployment", sa.Column("first", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Refuse: what was recorded since would be lost."""
    raise LedgerRefused("a ledger never goes back to an older version.", next_step="Restore a backup.")

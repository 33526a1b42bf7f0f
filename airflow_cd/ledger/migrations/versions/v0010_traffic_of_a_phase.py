"""A phase says which part of the requests its canary has, where its share does not say it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from airflow_cd.errors import LedgerRefused

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column that says nothing of what was recorded before."""
    op.add_column("cd_phase", sa.Column("traffic", sa.Integer()))


def downgrade() -> None:
    """Refuse: what was recorded since would be lost."""
    raise LedgerRefused("a ledger never goes back to an older version.", next_step="Restore a backup.")

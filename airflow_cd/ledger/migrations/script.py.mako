"""${message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from airflow_cd.errors import LedgerError

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """${message}."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Refuse: what was recorded since would be lost."""
    raise LedgerError("a ledger never goes back to an older version.", next_step="Restore a backup.")

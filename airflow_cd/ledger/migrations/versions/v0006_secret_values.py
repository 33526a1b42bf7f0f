"""Keyed digests of the secrets that environments were given."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from airflow_cd.errors import LedgerRefused

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table of its own."""
    op.create_table(
        "cd_secret_value",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("service", sa.String(250), nullable=False),
        sa.Column("environment", sa.String(100), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_secret_value"),
        sa.UniqueConstraint("service", "environment", "digest", name="uq_cd_secret_value_service_environment_digest"),
    )


def downgrade() -> None:
    """Refuse: what was recorded since would be lost."""
    raise LedgerRefused("a ledger never goes back to an older version.", next_step="Restore a backup.")

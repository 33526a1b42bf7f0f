"""What people say of events, and which baseline they want."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from airflow_cd.errors import LedgerRefused

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Two tables to which rows are only ever added."""
    op.create_table(
        "cd_baseline_choice",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("service", sa.String(250), nullable=False),
        sa.Column("environment", sa.String(100), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("choice", sa.String(250)),
        sa.Column("undoes", sa.BigInteger()),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("who", sa.String(250), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_baseline_choice"),
    )
    op.create_index(
        "ix_cd_baseline_choice_service_environment_seq", "cd_baseline_choice", ["service", "environment", "seq"]
    )
    op.create_table(
        "cd_feedback",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("service", sa.String(250), nullable=False),
        sa.Column("environment", sa.String(100)),
        sa.Column("event_id", sa.String(64), nullable=False),
        sa.Column("says", sa.String(40), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("sample", sa.Text(), nullable=False),
        sa.Column("undoes", sa.BigInteger()),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("who", sa.String(250), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_feedback"),
    )
    op.create_index("ix_cd_feedback_service_event_id_seq", "cd_feedback", ["service", "event_id", "seq"])


def downgrade() -> None:
    """Refuse: what was recorded since would be lost."""
    raise LedgerRefused("a ledger never goes back to an older version.", next_step="Restore a backup.")

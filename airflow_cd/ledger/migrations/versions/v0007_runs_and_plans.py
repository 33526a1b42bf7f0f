"""Runs are told apart from others with their id; the audit log is a chain; questions know the life of their task."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from alembic import op

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger.chain import FIELDS, digest_of
from airflow_cd.ledger.columns import Json, Utc

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Chain what was recorded so far; runs are recorded when they are next seen."""
    op.create_table(
        "cd_run",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("pipeline", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("airflow_run_id", sa.String(250), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("plan", sa.JSON()),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_run"),
        sa.UniqueConstraint("pipeline", "run_id", name="uq_cd_run_pipeline_run_id"),
        sa.UniqueConstraint(
            "pipeline", "airflow_run_id", "requested_at", name="uq_cd_run_pipeline_airflow_run_id_requested_at"
        ),
    )
    op.add_column("cd_question", sa.Column("life", sa.Integer()))
    op.add_column("cd_question", sa.Column("run_started", sa.DateTime(timezone=True)))
    op.add_column("cd_human_action", sa.Column("requested_at", sa.DateTime(timezone=True)))
    for name in ("previous", "digest"):
        op.add_column("cd_human_action", sa.Column(name, sa.String(64), nullable=False, server_default=sa.text("''")))
    _chain()


def _chain() -> None:
    types: dict[str, Any] = {"at": Utc(), "requested_at": Utc(), "detail": Json(), "allowed": sa.Boolean()}
    names = ("seq", *FIELDS, "previous", "digest")
    log = sa.table("cd_human_action", *(sa.column(name, types.get(name)) for name in names))
    connection = op.get_bind()
    previous = ""
    for row in connection.execute(sa.select(log).order_by(log.c.seq)).all():
        values = {**row._asdict(), "previous": previous}
        digest = digest_of(SimpleNamespace(**values))
        connection.execute(log.update().where(log.c.seq == row.seq).values(previous=previous, digest=digest))
        previous = digest


def downgrade() -> None:
    """Refuse: what was recorded since would be lost."""
    raise LedgerRefused("a ledger never goes back to an older version.", next_step="Restore a backup.")

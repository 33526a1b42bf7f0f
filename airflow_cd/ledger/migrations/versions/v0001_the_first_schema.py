"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from airflow_cd.errors import LedgerRefused

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """The first schema."""
    op.create_table(
        "cd_deployment",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("pipeline", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("service", sa.String(250), nullable=False),
        sa.Column("environment", sa.String(100), nullable=False),
        sa.Column("version", sa.String(250), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("release", sa.JSON(), nullable=False),
        sa.Column("previous", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("triggered_by", sa.Text(), nullable=False),
        sa.Column("rollback", sa.String(20), nullable=False),
        sa.Column("learn", sa.Boolean(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("settled_at", _TIME),
        sa.Column("first_bad_at", _TIME),
        sa.Column("verdict_at", _TIME),
        sa.Column("safe_at", _TIME),
        sa.Column("restored_at", _TIME),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_deployment"),
        sa.UniqueConstraint("id", name="uq_cd_deployment_id"),
        sa.UniqueConstraint(
            "pipeline", "run_id", "service", "environment", name="uq_cd_deployment_pipeline_run_id_service_environment"
        ),
    )
    op.create_index("ix_cd_deployment_service_environment_seq", "cd_deployment", ["service", "environment", "seq"])
    op.create_index(
        "ix_cd_deployment_service_environment_state_seq", "cd_deployment", ["service", "environment", "state", "seq"]
    )
    op.create_index("ix_cd_deployment_state_seq", "cd_deployment", ["state", "seq"])
    op.create_table(
        "cd_human_action",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("who", sa.String(250), nullable=False),
        sa.Column("action", sa.String(250), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("pipeline", sa.String(250)),
        sa.Column("run_id", sa.String(250)),
        sa.Column("task_id", sa.String(250)),
        sa.Column("service", sa.String(250)),
        sa.Column("environment", sa.String(100)),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_human_action"),
    )
    op.create_index("ix_cd_human_action_pipeline_run_id_seq", "cd_human_action", ["pipeline", "run_id", "seq"])
    op.create_table(
        "cd_instance",
        sa.Column("service", sa.String(250), nullable=False),
        sa.Column("environment", sa.String(100), nullable=False),
        sa.Column("name", sa.String(250), nullable=False),
        sa.Column("version", sa.Text()),
        sa.Column("artifact", sa.Text()),
        sa.Column("configuration", sa.JSON(), nullable=False),
        sa.Column("health", sa.String(20), nullable=False),
        sa.Column("drained", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("observed_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", "name", name="pk_cd_instance"),
    )
    op.create_table(
        "cd_lease",
        sa.Column("service", sa.String(250), nullable=False),
        sa.Column("environment", sa.String(100), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("pipeline", sa.String(250)),
        sa.Column("run_id", sa.String(250)),
        sa.Column("acquired_at", _TIME),
        sa.Column("expires_at", _TIME),
        sa.PrimaryKeyConstraint("service", "environment", name="pk_cd_lease"),
    )
    op.create_table(
        "cd_lease_request",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("service", sa.String(250), nullable=False),
        sa.Column("environment", sa.String(100), nullable=False),
        sa.Column("pipeline", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("keep_until", _TIME, nullable=False),
        sa.Column("superseded_by", sa.Text()),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_lease_request"),
        sa.UniqueConstraint(
            "service",
            "environment",
            "pipeline",
            "run_id",
            name="uq_cd_lease_request_service_environment_pipeline_run_id",
        ),
    )
    op.create_index(
        "ix_cd_lease_request_service_environment_state_place",
        "cd_lease_request",
        ["service", "environment", "state", "place"],
    )
    op.create_table(
        "cd_question",
        sa.Column("pipeline", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("task_id", sa.String(250), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("approvers", sa.JSON(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("deadline", _TIME),
        sa.Column("reopened", sa.Boolean(), nullable=False),
        sa.Column("option", sa.String(250)),
        sa.Column("who", sa.String(250)),
        sa.Column("why", sa.Text()),
        sa.Column("answered_at", _TIME),
        sa.PrimaryKeyConstraint("pipeline", "run_id", "task_id", name="pk_cd_question"),
    )
    op.create_table(
        "cd_action",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("key", sa.String(250), nullable=False),
        sa.Column("deployment_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("ok", sa.Boolean()),
        sa.Column("began_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.ForeignKeyConstraint(["deployment_id"], ["cd_deployment.id"], name="fk_cd_action_deployment_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_action"),
        sa.UniqueConstraint("key", name="uq_cd_action_key"),
    )
    op.create_index("ix_cd_action_deployment_id_seq", "cd_action", ["deployment_id", "seq"])
    op.create_table(
        "cd_phase",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("deployment_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(250), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("instances", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("deployed_at", _TIME),
        sa.ForeignKeyConstraint(["deployment_id"], ["cd_deployment.id"], name="fk_cd_phase_deployment_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_phase"),
        sa.UniqueConstraint("deployment_id", "name", name="uq_cd_phase_deployment_id_name"),
    )
    op.create_table(
        "cd_profile",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("deployment_id", sa.String(36), nullable=False),
        sa.Column("phase", sa.String(250), nullable=False),
        sa.Column("source", sa.String(500), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("teaches", sa.Boolean(), nullable=False),
        sa.Column("saved_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["cd_deployment.id"], name="fk_cd_profile_deployment_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_profile"),
        sa.UniqueConstraint(
            "deployment_id", "phase", "source", "kind", name="uq_cd_profile_deployment_id_phase_source_kind"
        ),
    )
    op.create_table(
        "cd_verdict",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("deployment_id", sa.String(36), nullable=False),
        sa.Column("phase", sa.String(250), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(20), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["cd_deployment.id"], name="fk_cd_verdict_deployment_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_verdict"),
    )
    op.create_index("ix_cd_verdict_deployment_id_phase_seq", "cd_verdict", ["deployment_id", "phase", "seq"])
    op.create_table(
        "cd_veto",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("service", sa.String(250), nullable=False),
        sa.Column("environment", sa.String(100), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("version", sa.String(250), nullable=False),
        sa.Column("deployment_id", sa.String(36), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lifted_at", _TIME),
        sa.Column("lifted_by", sa.String(250)),
        sa.Column("lifted_why", sa.Text()),
        sa.ForeignKeyConstraint(["deployment_id"], ["cd_deployment.id"], name="fk_cd_veto_deployment_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_cd_veto"),
    )
    op.create_index("ix_cd_veto_service_environment_digest", "cd_veto", ["service", "environment", "digest"])


def downgrade() -> None:
    """Refuse: what was recorded since would be lost."""
    raise LedgerRefused("a ledger never goes back to an older version.", next_step="Restore a backup.")

"""The ledger's tables. Every change here needs a migration; a test compares the two.

All tables start with ``cd_``, so that the ledger may share a PostgreSQL database with something else. ``seq``
columns number rows in the order they were written; within one environment that is the order things happened,
because every transaction that writes there holds the lock on its lease row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from airflow_cd.ledger.columns import Json, Label, Name, Prose, Utc

VERSION_TABLE = "cd_alembic_version"

_Sequence = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    """All tables; every constraint has a name, so that a migration can change it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class LedgerRow(Base):
    """The ledger itself: one row, whose identity no other ledger has."""

    __tablename__ = "cd_ledger"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    identity: Mapped[str] = mapped_column(Name(36))
    made_at: Mapped[datetime] = mapped_column(Utc)


class LeaseRow(Base):
    """Who owns an environment. The row is never deleted: it holds the last token, and is the environment's lock."""

    __tablename__ = "cd_lease"

    service: Mapped[str] = mapped_column(Name(), primary_key=True)
    environment: Mapped[str] = mapped_column(Name(100), primary_key=True)
    token: Mapped[int] = mapped_column(BigInteger)
    pipeline: Mapped[str | None] = mapped_column(Name())
    run_id: Mapped[str | None] = mapped_column(Name())
    acquired_at: Mapped[datetime | None] = mapped_column(Utc)
    expires_at: Mapped[datetime | None] = mapped_column(Utc)


class LeaseRequestRow(Base):
    """A run that asked for an environment: since when, its place in the queue, and whether it still waits."""

    __tablename__ = "cd_lease_request"
    __table_args__ = (
        UniqueConstraint("service", "environment", "pipeline", "run_id"),
        Index(None, "service", "environment", "state", "place"),
    )

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    service: Mapped[str] = mapped_column(Name())
    environment: Mapped[str] = mapped_column(Name(100))
    pipeline: Mapped[str] = mapped_column(Name())
    run_id: Mapped[str] = mapped_column(Name())
    state: Mapped[str] = mapped_column(Name(20))
    place: Mapped[int] = mapped_column(BigInteger)
    asked_at: Mapped[datetime] = mapped_column(Utc)
    keep_until: Mapped[datetime] = mapped_column(Utc)
    superseded_by: Mapped[str | None] = mapped_column(Prose)
    requested_at: Mapped[datetime | None] = mapped_column(Utc)
    task_id: Mapped[str | None] = mapped_column(Name())
    going_back: Mapped[bool] = mapped_column(server_default=false())


class DeploymentRow(Base):
    """The deployment of one release to one environment by one run."""

    __tablename__ = "cd_deployment"
    __table_args__ = (
        UniqueConstraint("pipeline", "run_id", "service", "environment"),
        Index(None, "service", "environment", "seq"),
        Index(None, "service", "environment", "state", "seq"),
        Index(None, "state", "seq"),
        Index(None, "rolls_back"),
        # All that figures over time are made of: the rows themselves hold whole releases.
        Index(
            "ix_cd_deployment_figures",
            "environment",
            "state",
            "rolls_back",
            "settled_at",
            "verdict_at",
            "opened_at",
            "requested_at",
            "first_bad_at",
            "safe_at",
            "restored_at",
            "service",
            "pipeline",
        ),
    )

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    id: Mapped[str] = mapped_column(Name(36), unique=True)
    pipeline: Mapped[str] = mapped_column(Name())
    run_id: Mapped[str] = mapped_column(Name())
    service: Mapped[str] = mapped_column(Name())
    environment: Mapped[str] = mapped_column(Name(100))
    version: Mapped[str] = mapped_column(Name())
    digest: Mapped[str] = mapped_column(Name(80))
    release: Mapped[dict[str, Any]] = mapped_column(Json)
    previous: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(Name(20))
    reason: Mapped[str] = mapped_column(Prose)
    triggered_by: Mapped[str] = mapped_column(Prose)
    rollback: Mapped[str] = mapped_column(Name(20))
    learn: Mapped[bool]
    token: Mapped[int] = mapped_column(BigInteger)
    requested_at: Mapped[datetime] = mapped_column(Utc)
    opened_at: Mapped[datetime] = mapped_column(Utc)
    settled_at: Mapped[datetime | None] = mapped_column(Utc)
    first_bad_at: Mapped[datetime | None] = mapped_column(Utc)
    verdict_at: Mapped[datetime | None] = mapped_column(Utc)
    safe_at: Mapped[datetime | None] = mapped_column(Utc)
    restored_at: Mapped[datetime | None] = mapped_column(Utc)
    outcome: Mapped[str] = mapped_column(Prose)
    rolls_back: Mapped[str | None] = mapped_column(Name(36))
    cause: Mapped[str | None] = mapped_column(Name(20))
    first: Mapped[bool] = mapped_column(server_default=false())
    commits: Mapped[dict[str, Any] | None] = mapped_column(Json)
    ended_by_pipeline: Mapped[str | None] = mapped_column(Name())
    ended_by_run: Mapped[str | None] = mapped_column(Name())
    changed: Mapped[str | None] = mapped_column(Prose)


class PhaseRow(Base):
    """One step of a deployment, with the instances that were, or may have been, given the release."""

    __tablename__ = "cd_phase"
    __table_args__ = (UniqueConstraint("deployment_id", "name"),)

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    deployment_id: Mapped[str] = mapped_column(ForeignKey("cd_deployment.id"))
    name: Mapped[str] = mapped_column(Name())
    share: Mapped[int]
    traffic: Mapped[int | None]
    instances: Mapped[list[str]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(Name(20))
    started_at: Mapped[datetime] = mapped_column(Utc)
    deployed_at: Mapped[datetime | None] = mapped_column(Utc)


class ActionRow(Base):
    """One side effect, recorded before and after."""

    __tablename__ = "cd_action"
    __table_args__ = (Index(None, "deployment_id", "seq"),)

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    key: Mapped[str] = mapped_column(Name(), unique=True)
    deployment_id: Mapped[str] = mapped_column(ForeignKey("cd_deployment.id"))
    kind: Mapped[str] = mapped_column(Name(50))
    token: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int]
    detail: Mapped[dict[str, Any]] = mapped_column(Json)
    ok: Mapped[bool | None]
    began_at: Mapped[datetime] = mapped_column(Utc)
    ended_at: Mapped[datetime | None] = mapped_column(Utc)


class InstanceRow(Base):
    """What an instance ran when it was last observed."""

    __tablename__ = "cd_instance"

    service: Mapped[str] = mapped_column(Name(), primary_key=True)
    environment: Mapped[str] = mapped_column(Name(100), primary_key=True)
    name: Mapped[str] = mapped_column(Name(), primary_key=True)
    version: Mapped[str | None] = mapped_column(Prose)
    artifact: Mapped[str | None] = mapped_column(Prose)
    configuration: Mapped[dict[str, Any]] = mapped_column(Json)
    health: Mapped[str] = mapped_column(Name(20))
    drained: Mapped[bool]
    message: Mapped[str] = mapped_column(Prose)
    observed_at: Mapped[datetime] = mapped_column(Utc)
    track: Mapped[str | None] = mapped_column(Name(20))
    weight: Mapped[float | None] = mapped_column(Float)
    started: Mapped[datetime | None] = mapped_column(Utc)


class VerdictRow(Base):
    """A verdict with its evidence."""

    __tablename__ = "cd_verdict"
    __table_args__ = (
        Index(None, "deployment_id", "phase", "seq"),
        Index(None, "verdict", "final", "deployment_id"),
    )

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    deployment_id: Mapped[str] = mapped_column(ForeignKey("cd_deployment.id"))
    phase: Mapped[str] = mapped_column(Name())
    token: Mapped[int] = mapped_column(BigInteger)
    verdict: Mapped[str] = mapped_column(Name(20))
    evidence: Mapped[dict[str, Any]] = mapped_column(Json)
    final: Mapped[bool]
    recorded_at: Mapped[datetime] = mapped_column(Utc)


class ProfileRow(Base):
    """The profile of one source over one phase, which later deployments are compared with."""

    __tablename__ = "cd_profile"
    __table_args__ = (UniqueConstraint("deployment_id", "phase", "source", "kind"),)

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    deployment_id: Mapped[str] = mapped_column(ForeignKey("cd_deployment.id"))
    phase: Mapped[str] = mapped_column(Name())
    source: Mapped[str] = mapped_column(Name(500))
    kind: Mapped[str] = mapped_column(Name(20))
    content: Mapped[bytes] = mapped_column(LargeBinary)
    teaches: Mapped[bool]
    saved_at: Mapped[datetime] = mapped_column(Utc)


class VetoRow(Base):
    """A release that was rolled back here; in force until a person lifts the veto."""

    __tablename__ = "cd_veto"
    __table_args__ = (Index(None, "service", "environment", "digest"),)

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    service: Mapped[str] = mapped_column(Name())
    environment: Mapped[str] = mapped_column(Name(100))
    digest: Mapped[str] = mapped_column(Name(80))
    version: Mapped[str] = mapped_column(Name())
    deployment_id: Mapped[str] = mapped_column(ForeignKey("cd_deployment.id"))
    at: Mapped[datetime] = mapped_column(Utc)
    reason: Mapped[str] = mapped_column(Prose)
    lifted_at: Mapped[datetime | None] = mapped_column(Utc)
    lifted_by: Mapped[str | None] = mapped_column(Name())
    lifted_why: Mapped[str | None] = mapped_column(Prose)


class RunRow(Base):
    """A run that the ledger has records of, told apart from others that had or will have its id in Airflow.

    All records of a run carry ``run_id``. It is Airflow's as long as no other run took that id; then the records of the
    earlier one get another.
    """

    __tablename__ = "cd_run"
    __table_args__ = (
        UniqueConstraint("pipeline", "run_id"),
        UniqueConstraint("pipeline", "airflow_run_id", "requested_at"),
    )

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    pipeline: Mapped[str] = mapped_column(Name())
    run_id: Mapped[str] = mapped_column(Name())
    airflow_run_id: Mapped[str] = mapped_column(Name())
    requested_at: Mapped[datetime] = mapped_column(Utc)
    plan: Mapped[dict[str, Any] | None] = mapped_column(Json)
    known_at: Mapped[datetime] = mapped_column(Utc)


class AuditRow(Base):
    """A manual action, or an attempt that was refused.

    Rows are only added; each holds the hash of the one before (:mod:`airflow_cd.ledger.chain`).
    """

    __tablename__ = "cd_human_action"
    __table_args__ = (Index(None, "pipeline", "run_id", "seq"),)

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    at: Mapped[datetime] = mapped_column(Utc)
    who: Mapped[str] = mapped_column(Label())
    action: Mapped[str] = mapped_column(Label())
    why: Mapped[str] = mapped_column(Prose)
    pipeline: Mapped[str | None] = mapped_column(Label())
    run_id: Mapped[str | None] = mapped_column(Label())
    task_id: Mapped[str | None] = mapped_column(Label())
    service: Mapped[str | None] = mapped_column(Label())
    environment: Mapped[str | None] = mapped_column(Label(100))
    allowed: Mapped[bool]
    detail: Mapped[dict[str, Any]] = mapped_column(Json)
    requested_at: Mapped[datetime | None] = mapped_column(Utc)
    previous: Mapped[str] = mapped_column(String(64), server_default=text("''"))
    digest: Mapped[str] = mapped_column(String(64), server_default=text("''"))


class QuestionRow(Base):
    """A question that a run asks people, and its answer."""

    __tablename__ = "cd_question"
    __table_args__ = (Index(None, "option", "asked_at"),)

    pipeline: Mapped[str] = mapped_column(Name(), primary_key=True)
    run_id: Mapped[str] = mapped_column(Name(), primary_key=True)
    task_id: Mapped[str] = mapped_column(Name(), primary_key=True)
    options: Mapped[list[str]] = mapped_column(Json)
    approvers: Mapped[list[str]] = mapped_column(Json)
    subject: Mapped[str] = mapped_column(Prose)
    body: Mapped[str] = mapped_column(Prose)
    proposed: Mapped[dict[str, Any] | None] = mapped_column(Json)
    commits: Mapped[dict[str, Any] | None] = mapped_column(Json)
    asked_at: Mapped[datetime] = mapped_column(Utc)
    deadline: Mapped[datetime | None] = mapped_column(Utc)
    life: Mapped[int | None]
    run_started: Mapped[datetime | None] = mapped_column(Utc)
    reopened: Mapped[bool]
    option: Mapped[str | None] = mapped_column(Name())
    who: Mapped[str | None] = mapped_column(Label())
    why: Mapped[str | None] = mapped_column(Prose)
    answered_at: Mapped[datetime | None] = mapped_column(Utc)


class SecretValueRow(Base):
    """The keyed digest of a value that an environment was given in the place of a reference to a secret."""

    __tablename__ = "cd_secret_value"
    __table_args__ = (UniqueConstraint("service", "environment", "digest"),)

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    service: Mapped[str] = mapped_column(Name())
    environment: Mapped[str] = mapped_column(Name(100))
    path: Mapped[str] = mapped_column(Prose)
    source: Mapped[str] = mapped_column(Prose)
    digest: Mapped[str] = mapped_column(Name(80))
    given_at: Mapped[datetime] = mapped_column(Utc)


class FeedbackRow(Base):
    """Feedback on an event. Rows are only added: undoing feedback is a row that names the undone one."""

    __tablename__ = "cd_feedback"
    __table_args__ = (Index(None, "service", "event_id", "seq"),)

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    service: Mapped[str] = mapped_column(Name())
    environment: Mapped[str | None] = mapped_column(Name(100))
    event_id: Mapped[str] = mapped_column(Name(64))
    says: Mapped[str] = mapped_column(Name(40))
    template: Mapped[str] = mapped_column(Prose)
    sample: Mapped[str] = mapped_column(Prose)
    undoes: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Utc)
    who: Mapped[str] = mapped_column(Name())
    why: Mapped[str] = mapped_column(Prose)


class WorkRow(Base):
    """A run's work on an environment: which task is at it, whether it lives, and how to reach the environment."""

    __tablename__ = "cd_work"
    __table_args__ = (Index(None, "over"),)

    service: Mapped[str] = mapped_column(Name(), primary_key=True)
    environment: Mapped[str] = mapped_column(Name(100), primary_key=True)
    pipeline: Mapped[str] = mapped_column(Name(), primary_key=True)
    run_id: Mapped[str] = mapped_column(Name(), primary_key=True)
    target: Mapped[dict[str, Any] | None] = mapped_column(Json)
    timeout: Mapped[int]
    task_id: Mapped[str] = mapped_column(Name())
    process: Mapped[str] = mapped_column(Name())
    beats: Mapped[int] = mapped_column(BigInteger)
    beat_at: Mapped[datetime] = mapped_column(Utc)
    over: Mapped[bool]


class GuardRow(Base):
    """The one guard that acts."""

    __tablename__ = "cd_guard"

    name: Mapped[str] = mapped_column(Name(50), primary_key=True)
    token: Mapped[int] = mapped_column(BigInteger)
    holder: Mapped[str] = mapped_column(Name())
    expires_at: Mapped[datetime] = mapped_column(Utc)


class FindingRow(Base):
    """A run that could not go on, and what the guard did about it."""

    __tablename__ = "cd_guard_finding"
    __table_args__ = (Index(None, "pipeline", "run_id", "seq"), Index(None, "ended_at", "seq"))

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    service: Mapped[str] = mapped_column(Name())
    environment: Mapped[str] = mapped_column(Name(100))
    pipeline: Mapped[str] = mapped_column(Name())
    run_id: Mapped[str] = mapped_column(Name())
    deployment_id: Mapped[str | None] = mapped_column(Name(36))
    cause: Mapped[str] = mapped_column(Name(20))
    detail: Mapped[str] = mapped_column(Prose)
    state: Mapped[str] = mapped_column(Name(20))
    outcome: Mapped[str] = mapped_column(Prose)
    attempts: Mapped[int]
    found_at: Mapped[datetime] = mapped_column(Utc)
    ended_at: Mapped[datetime | None] = mapped_column(Utc)


class BaselineChoiceRow(Base):
    """A pin or reset of a baseline, or its undoing. Rows are only added, as with feedback."""

    __tablename__ = "cd_baseline_choice"
    __table_args__ = (Index(None, "service", "environment", "seq"),)

    seq: Mapped[int] = mapped_column(_Sequence, primary_key=True)
    service: Mapped[str] = mapped_column(Name())
    environment: Mapped[str] = mapped_column(Name(100))
    action: Mapped[str] = mapped_column(Name(20))
    choice: Mapped[str | None] = mapped_column(Name())
    undoes: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Utc)
    who: Mapped[str] = mapped_column(Name())
    why: Mapped[str] = mapped_column(Prose)

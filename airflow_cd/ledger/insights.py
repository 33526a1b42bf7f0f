"""Rows for the figures over many deployments: many at once, with only the few columns that the figures need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Double, Text, and_, case, cast, extract, func, null, select
from sqlalchemy.orm import Session, aliased

from airflow_cd.ledger.models import DeploymentRow, FeedbackRow, VerdictRow
from airflow_cd.ledger.store import Part
from airflow_cd.states import DeploymentState
from airflow_cd.verification.logs.feedback import NOT_A_RISK, NOT_AT_ANY_FREQUENCY
from airflow_cd.verification.verdict import EventKind, Verdict

_JULIAN_1970 = 2_440_587.5

ENDED = (DeploymentState.PROMOTED, DeploymentState.ROLLED_BACK, DeploymentState.ROLLBACK_FAILED)
"""States of a deployment that has ended, well or badly."""

_FREQUENCIES = (EventKind.UNEXPECTED_FREQUENCY, EventKind.WENT_SILENT)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the runs of a pipeline got.

    :param deployments: how many of them brought a release to this environment.
    :param last: of how many of those it was the last environment of the service.
    """

    pipeline: str
    service: str
    environment: str
    deployments: int
    last: int


@dataclass(frozen=True, slots=True)
class EndedDeployment:
    """A deployment that was promoted, rolled back, or whose rollback failed; times in seconds.

    :param ended: when it was settled, since 1970. A rollback that failed settled nothing: then it is when its verdict
        stood, or when it was opened if there was none.
    :param lead: from when its run was asked for to ``ended``.
    :param to_verdict: from the first bad event to the verdict; ``to_safe`` and ``to_restored`` from the verdict on.
        Each is None where one of its ends was never recorded.
    """

    pipeline: str
    service: str
    state: str
    ended: float
    lead: float
    to_verdict: float | None = None
    to_safe: float | None = None
    to_restored: float | None = None


@dataclass(frozen=True, slots=True)
class FailVerdict:
    """A FAIL verdict on a deployment that has ended since.

    :param ended: when the deployment ended, so that verdict and deployment count in the same period.
    :param false_alarm: whether events alone decided it, and feedback in force now marks each of them as no risk.
    """

    pipeline: str
    service: str
    ended: float
    false_alarm: bool


class Insights(Part):
    """Rows for the figures on the Insights page."""

    def reached(self) -> Iterator[Reach]:
        """How far the runs of each pipeline got, by pipeline, service and environment."""
        later = aliased(DeploymentRow)
        went_on = (
            select(later.seq)
            .where(
                later.pipeline == DeploymentRow.pipeline,
                later.run_id == DeploymentRow.run_id,
                later.service == DeploymentRow.service,
                later.seq > DeploymentRow.seq,
            )
            .exists()
        )
        names = (DeploymentRow.pipeline, DeploymentRow.service, DeploymentRow.environment)
        last = func.sum(case((went_on, 0), else_=1))
        with self._store.reading() as session:
            # A condition on each row would read the rows themselves, with their whole releases.
            rollbacks = select(DeploymentRow.seq).where(DeploymentRow.rolls_back.is_not(None))
            found = select(*names, func.count(), last).where(DeploymentRow.seq.not_in(rollbacks)).group_by(*names)
            for row in session.connection().execute(found):
                yield Reach(*row)

    def ended_deployments(
        self, environment: str, *, since: datetime, until: datetime, service: str | None = None
    ) -> list[EndedDeployment]:
        """Deployments that ended in a period, in no order.

        :param environment: where.
        :param since: start of the period, aware.
        :param until: its end, aware, not included.
        :param service: only of this service.
        """
        seconds = self._seconds
        verdict = seconds(DeploymentRow.verdict_at)
        query = select(
            DeploymentRow.pipeline,
            DeploymentRow.service,
            DeploymentRow.state,
            seconds(_ended_at()),
            seconds(_ended_at()) - seconds(DeploymentRow.requested_at),
            verdict - seconds(DeploymentRow.first_bad_at),
            seconds(DeploymentRow.safe_at) - verdict,
            seconds(DeploymentRow.restored_at) - verdict,
        ).where(_ended_between(environment, since, until, service))
        with self._store.reading() as session:
            return [EndedDeployment(*row) for row in session.connection().execute(query)]

    def fail_verdicts(
        self, environment: str, *, since: datetime, until: datetime, service: str | None = None
    ) -> list[FailVerdict]:
        """Final FAIL verdicts on the deployments that :meth:`ended_deployments` returns, in no order.

        :param environment: where.
        :param since: start of the period, aware.
        :param until: its end, aware, not included.
        :param service: only of this service.
        """
        # Evidence may be megabytes: it is read only where feedback marks an event in it as no risk.
        has_feedback = (
            select(FeedbackRow.seq)
            .where(
                FeedbackRow.service == DeploymentRow.service,
                FeedbackRow.says.in_((NOT_A_RISK, NOT_AT_ANY_FREQUENCY)),
                FeedbackRow.undoes.is_(None),
                self._position(cast(VerdictRow.evidence, Text), FeedbackRow.event_id) > 0,
            )
            .exists()
        )
        query = (
            select(
                DeploymentRow.pipeline,
                DeploymentRow.service,
                self._seconds(_ended_at()),
                case((has_feedback, VerdictRow.evidence), else_=null()),
            )
            .join(VerdictRow, VerdictRow.deployment_id == DeploymentRow.id)
            .where(
                _ended_between(environment, since, until, service),
                VerdictRow.verdict == str(Verdict.FAIL),
                VerdictRow.final.is_(True),
            )
        )
        with self._store.reading() as session:
            rows = session.connection().execute(query).all()
            feedback = _in_force(session, environment) if any(evidence is not None for *_, evidence in rows) else {}
        return [
            FailVerdict(pipeline, of, ended, is_false_alarm(evidence, feedback.get(of, {})))
            for pipeline, of, ended, evidence in rows
        ]

    @property
    def _position(self) -> Any:
        return func.strpos if self._store.engine.dialect.name == "postgresql" else func.instr

    def _seconds(self, time: Any) -> ColumnElement[float]:
        # Subtracted by the database: making ten thousand aware times in Python takes longer than the query.
        if self._store.engine.dialect.name == "postgresql":
            return cast(extract("epoch", time), Double)
        return (func.julianday(time, type_=Double) - _JULIAN_1970) * 86_400.0


def is_false_alarm(evidence: Mapping[str, Any] | None, feedback: Mapping[str, str]) -> bool:
    """Whether events alone decided a FAIL, and feedback marks each of them as no risk.

    :param evidence: a judgement as JSON values; None where none of its events has feedback.
    :param feedback: by event id, the feedback in force in the environment.
    """
    if evidence is None:
        return False
    performance, quality = evidence.get("performance") or {}, evidence.get("quality") or {}
    if performance.get("verdict") == Verdict.FAIL:
        return False
    risks = [event for event in quality.get("events") or () if event.get("risk")]
    return bool(risks) and all(_no_risk(event, feedback.get(event["id"], "")) for event in risks)


def _no_risk(event: Mapping[str, Any], says: str) -> bool:
    return says == NOT_AT_ANY_FREQUENCY or (says == NOT_A_RISK and event.get("kind") not in _FREQUENCIES)


def _in_force(session: Session, environment: str) -> dict[str, dict[str, str]]:
    """The feedback in force on each event of each service; what is for this environment alone outranks the rest."""
    rows = session.execute(
        select(
            FeedbackRow.seq,
            FeedbackRow.service,
            FeedbackRow.environment,
            FeedbackRow.event_id,
            FeedbackRow.says,
            FeedbackRow.undoes,
        ).where((FeedbackRow.environment == environment) | FeedbackRow.environment.is_(None))
    ).all()
    undone = {row.undoes for row in rows}
    in_force: dict[str, dict[str, str]] = {}
    for row in sorted(rows, key=lambda row: (row.environment is not None, row.seq)):
        if row.undoes is None and row.seq not in undone:
            in_force.setdefault(row.service, {})[row.event_id] = row.says
    return in_force


def _ended_at() -> ColumnElement[datetime]:
    return func.coalesce(DeploymentRow.settled_at, DeploymentRow.verdict_at, DeploymentRow.opened_at)


def _ended_between(environment: str, since: datetime, until: datetime, service: str | None) -> ColumnElement[bool]:
    ended = _ended_at()
    where = [
        DeploymentRow.environment == environment,
        # A rollback is not a change of its own: it counts with the deployment that it takes back.
        DeploymentRow.rolls_back.is_(None),
        DeploymentRow.state.in_(ENDED),
        ended >= since,
        ended < until,
    ]
    if service is not None:
        where.append(DeploymentRow.service == service)
    return and_(*where)

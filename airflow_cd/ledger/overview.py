"""The state of every environment of every service at once: a few queries, however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from airflow_cd.ledger.models import DeploymentRow, PhaseRow, QuestionRow, VerdictRow, VetoRow
from airflow_cd.ledger.store import Part
from airflow_cd.ledger.verdicts import PHASE_STATES
from airflow_cd.states import DeploymentState

# By the state of a phase, the final verdict that it comes from.
_VERDICTS = {str(state): str(verdict) for verdict, state in PHASE_STATES.items()}


@dataclass(frozen=True, slots=True)
class EnvironmentSummary:
    """The deployments that determine the state of an environment, by number.

    :param promoted: the last one that was promoted, whose release should run here; 0 without one.
    :param promoted_by: its pipeline.
    :param latest: what came after it: the newest that is not settled, else the newest; 0 if nothing did.
    :param latest_by: its pipeline.
    :param latest_state: its :class:`~airflow_cd.states.DeploymentState`.
    """

    service: str
    environment: str
    promoted: int = 0
    promoted_by: str = ""
    latest: int = 0
    latest_by: str = ""
    latest_state: str = ""


@dataclass(frozen=True, slots=True)
class DeploymentSummary:
    """A deployment without its releases' content.

    :param number: grows from deployment to deployment.
    :param phase: the phase it has reached, ``""`` before the first.
    :param share: percent of the environment in that phase.
    :param traffic: percent of the requests, where the share does not say it.
    :param rolls_back: of a person's rollback what it takes back, as of a
        :class:`~airflow_cd.ledger.Deployment`; None for any other deployment.
    :param first: whether nothing of the service had run there before.
    :param changed: what differs from what ran before, where that has the same version.
    :param verdict: the final verdict on that phase, ``""`` while there is none, whatever earlier phases have got.
    :param reported: the last phase that has a verdict, final or not; ``""`` without any.
    """

    number: int
    pipeline: str
    run_id: str
    service: str
    environment: str
    version: str
    digest: str
    state: str
    triggered_by: str
    opened_at: datetime
    settled_at: datetime | None
    outcome: str
    rolls_back: str | None = None
    first: bool = False
    changed: str | None = None
    phase: str = ""
    share: int = 0
    traffic: int | None = None
    verdict: str = ""
    reported: str = ""


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question without an answer whose deadline has not passed.

    :param service: the service it is about, ``""`` where only the pipeline is known.
    :param environments: the environments it would let the release into, or the one whose task asks.
    """

    pipeline: str
    run_id: str
    task_id: str
    service: str
    environments: Sequence[str]
    subject: str
    approvers: Sequence[str]
    asked_at: datetime
    deadline: datetime | None
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class VetoInForce:
    """A veto that nobody has lifted, and the run in which the release was rolled back."""

    service: str
    environment: str
    version: str
    digest: str
    at: datetime
    pipeline: str
    run_id: str


class Overview(Part):
    """What runs where, what is in progress, what waits for a person."""

    def pipelines(self) -> set[str]:
        """Every pipeline that has ever deployed something."""
        with self._store.reading() as session:
            return set(session.scalars(select(DeploymentRow.pipeline).distinct()))

    def environments(self, services: Collection[str] | None = None) -> Iterator[EnvironmentSummary]:
        """The state of every environment, by service and environment.

        An iterator: thousands of records held at once would make garbage collection scan the whole process.

        :param services: only of these services.
        """
        newest_of_each_state = select(func.max(DeploymentRow.seq)).group_by(
            DeploymentRow.service, DeploymentRow.environment, DeploymentRow.state
        )
        if services is not None:
            newest_of_each_state = newest_of_each_state.where(DeploymentRow.service.in_(services))
        query = select(
            DeploymentRow.service,
            DeploymentRow.environment,
            DeploymentRow.state,
            DeploymentRow.seq,
            DeploymentRow.pipeline,
        ).where(DeploymentRow.seq.in_(newest_of_each_state))
        query = query.order_by(DeploymentRow.service, DeploymentRow.environment)
        place, newest = ("", ""), dict[str, tuple[int, str]]()
        with self._store.reading() as session:
            for service, environment, state, number, pipeline in session.connection().execute(query):
                if place != (service, environment):
                    if newest:
                        yield _summary(*place, newest)
                    place, newest = (service, environment), {}
                newest[state] = (number, pipeline)
        if newest:
            yield _summary(*place, newest)

    def summaries(self, numbers: Collection[int]) -> dict[int, DeploymentSummary]:
        """The deployments with these numbers, by number."""
        columns = [getattr(DeploymentRow, name) for name in _SUMMARY]
        with self._store.reading() as session:
            rows = (
                session.connection()
                .execute(select(DeploymentRow.id, *columns).where(DeploymentRow.seq.in_(numbers)))
                .all()
            )
            identities = [row.id for row in rows]
            phases = self._phases_of(session, identities)
            reported = self._reported(session, identities)
        found = {}
        for row in rows:
            identity, number, *values = row
            got_to = phases.get(identity, {})
            found[number] = DeploymentSummary(number, *values, **{**got_to, "reported": reported.get(identity, "")})
        return found

    def open_questions(self) -> list[OpenQuestion]:
        """Questions that wait for a person, oldest first; one whose deadline has passed does not."""
        with self._store.reading() as session:
            rows = (
                session.connection()
                .execute(
                    select(
                        QuestionRow.pipeline,
                        QuestionRow.run_id,
                        QuestionRow.task_id,
                        QuestionRow.subject,
                        QuestionRow.options,
                        QuestionRow.approvers,
                        QuestionRow.proposed,
                        QuestionRow.asked_at,
                        QuestionRow.deadline,
                    )
                    .where(
                        QuestionRow.option.is_(None),
                        or_(QuestionRow.deadline.is_(None), QuestionRow.deadline > self._store.now(session)),
                    )
                    .order_by(QuestionRow.asked_at, QuestionRow.pipeline, QuestionRow.run_id, QuestionRow.task_id)
                )
                .all()
            )
            # The proposed releases name service and environments; only without them the run is looked up.
            deployed = self._deployed_by(session, {(row.pipeline, row.run_id) for row in rows if not row.proposed})
        return [_open_question(row, deployed.get((row.pipeline, row.run_id), {})) for row in rows]

    def vetoes_in_force(self) -> list[VetoInForce]:
        """Every veto that nobody has lifted, newest first."""
        with self._store.reading() as session:
            rows = session.connection().execute(
                select(
                    VetoRow.service,
                    VetoRow.environment,
                    VetoRow.version,
                    VetoRow.digest,
                    VetoRow.at,
                    DeploymentRow.pipeline,
                    DeploymentRow.run_id,
                )
                .join(DeploymentRow, DeploymentRow.id == VetoRow.deployment_id)
                .where(VetoRow.lifted_at.is_(None))
                .order_by(VetoRow.seq.desc())
            )
            return [VetoInForce(*row) for row in rows]

    def recent_runs(self, limit: int = 500) -> list[tuple[str, tuple[str, ...]]]:
        """The pipeline of each of the newest runs, and the environments it reached in order; newest run first.

        :param limit: how many deployments are looked at.
        """
        query = (
            select(DeploymentRow.pipeline, DeploymentRow.run_id, DeploymentRow.service, DeploymentRow.environment)
            .order_by(DeploymentRow.seq.desc())
            .limit(limit)
        )
        routes: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
        with self._store.reading() as session:
            for pipeline, run_id, service, environment in session.connection().execute(query):
                routes[pipeline, run_id, service].append(environment)
        return [(pipeline, tuple(reversed(route))) for (pipeline, *_), route in routes.items()]

    def _phases_of(self, session: Session, deployments: Sequence[str]) -> dict[str, dict[str, Any]]:
        # The state of a phase implies its final verdict; the rows of verdicts hold evidence, which is large.
        rows = session.connection().execute(
            select(PhaseRow.deployment_id, PhaseRow.name, PhaseRow.share, PhaseRow.traffic, PhaseRow.state)
            .where(PhaseRow.deployment_id.in_(deployments))
            .order_by(PhaseRow.seq)
        )
        found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for deployment, name, share, traffic, state in rows:
            found[deployment].update(phase=name, share=share, traffic=traffic, verdict=_VERDICTS.get(state, ""))
        return found

    def _reported(self, session: Session, deployments: Sequence[str]) -> dict[str, str]:
        rows = session.connection().execute(
            select(VerdictRow.deployment_id, VerdictRow.phase)
            .where(VerdictRow.deployment_id.in_(deployments))
            .order_by(VerdictRow.seq)
        )
        return {deployment: phase for deployment, phase in rows}  # noqa: C416 - rows are no pairs to mypy

    def _deployed_by(
        self, session: Session, runs: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], Mapping[str, str]]:
        if not runs:
            return {}
        found: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        rows = session.connection().execute(
            select(DeploymentRow.pipeline, DeploymentRow.run_id, DeploymentRow.environment, DeploymentRow.service)
            .where(
                DeploymentRow.pipeline.in_({pipeline for pipeline, _ in runs}),
                DeploymentRow.run_id.in_({run_id for _, run_id in runs}),
            )
            .order_by(DeploymentRow.seq)
        )
        for pipeline, run_id, environment, service in rows:
            found[pipeline, run_id][environment] = service
        return found


_SUMMARY = (
    "seq",
    "pipeline",
    "run_id",
    "service",
    "environment",
    "version",
    "digest",
    "state",
    "triggered_by",
    "opened_at",
    "settled_at",
    "outcome",
    "rolls_back",
    "first",
    "changed",
)


def _summary(service: str, environment: str, newest: Mapping[str, tuple[int, str]]) -> EnvironmentSummary:
    number, pipeline = newest.get(DeploymentState.PROMOTED, (0, ""))
    if number and len(newest) == 1:
        return EnvironmentSummary(service, environment, number, pipeline)
    later = {state: last for state, last in newest.items() if last[0] > number}
    if not later:
        return EnvironmentSummary(service, environment, number, pipeline)
    unsettled = {state: last for state, last in later.items() if not DeploymentState(state).final}
    last, state = max((last, state) for state, last in (unsettled or later).items())
    return EnvironmentSummary(service, environment, number, pipeline, *last, state)


def _open_question(row: Any, deployed: Mapping[str, str]) -> OpenQuestion:
    proposed: Mapping[str, Any] = row.proposed or {}
    services = [release["service"] for release in proposed.values()] + list(deployed.values())
    asking = row.task_id.partition(".")[0]
    return OpenQuestion(
        pipeline=row.pipeline,
        run_id=row.run_id,
        task_id=row.task_id,
        service=services[0] if services else "",
        environments=tuple(proposed) or ((asking,) if asking in deployed else ()),
        subject=row.subject,
        approvers=tuple(row.approvers),
        asked_at=row.asked_at,
        deadline=row.deadline,
        options=tuple(row.options),
    )

"""The guard: which one acts, what it watches over, and what it found and did."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from airflow_cd.errors import LeaseLost, LedgerRefused
from airflow_cd.ledger.deployments import deployment_record, unsettled
from airflow_cd.ledger.models import DeploymentRow, FindingRow, GuardRow, LeaseRequestRow, LeaseRow
from airflow_cd.ledger.records import Claim, Deployment, Finding
from airflow_cd.ledger.store import Part
from airflow_cd.states import DeploymentState, FindingState, StuckCause

_NAME = "guard"
_NOBODY = "nobody"
_OPEN = (FindingState.ACTING, FindingState.FAILING)


class Guarding(Part):
    """One acting guard for each ledger; its token only grows."""

    def hold(self, holder: str, ttl: timedelta) -> int | None:
        """Become, or stay, the guard that acts.

        :param holder: names the process, uniquely.
        :param ttl: how long it stays so unless it asks again.
        :returns: the guard's fencing token; None while another one acts.
        """
        with self._store.writing() as session:
            now = self._store.now(session)
            self._store.insert_once(
                session, GuardRow, name=_NAME, token=0, holder=_NOBODY, expires_at=now - timedelta(seconds=1)
            )
            row = session.scalars(select(GuardRow).where(GuardRow.name == _NAME).with_for_update()).one()
            if row.holder != holder:
                if row.expires_at > now:
                    return None
                row.holder, row.token = holder, row.token + 1
            row.expires_at = now + ttl
            return row.token

    def give_up(self, holder: str) -> None:
        """Let another guard act at once; does nothing when this one does not."""
        with self._store.writing() as session:
            row = session.get(GuardRow, _NAME)
            if row is not None and row.holder == holder:
                row.holder, row.expires_at = _NOBODY, self._store.now(session)

    def check(self, token: int) -> None:
        """Make sure that no other guard has begun to act.

        :raises LeaseLost: one has.
        """
        with self._store.reading() as session:
            row = session.get(GuardRow, _NAME)
            if row is None or row.token != token:
                raise LeaseLost("another guard has taken over.", state="nothing was changed by this one.")

    def acting(self) -> tuple[str, datetime] | None:
        """The guard that acts, and until when it has said so; None when none does."""
        with self._store.reading() as session:
            row = session.get(GuardRow, _NAME)
            if row is None or row.expires_at <= self._store.now(session):
                return None
            return row.holder, row.expires_at

    def unsettled(self) -> list[Deployment]:
        """Every deployment, anywhere, that may have left its environment between two releases; oldest first."""
        with self._store.reading() as session:
            return [deployment_record(row) for row in session.scalars(unsettled().order_by(DeploymentRow.seq))]

    def rolled_back(self) -> list[Deployment]:
        """The newest deployment of every environment where that was rolled back, or was a rollback; oldest first."""
        is_promoted = DeploymentRow.state == DeploymentState.PROMOTED
        is_back = DeploymentRow.state == DeploymentState.ROLLED_BACK
        return self._newest(or_(is_back, and_(is_promoted, DeploymentRow.rolls_back.is_not(None))))

    def promoted(self) -> list[Deployment]:
        """The newest deployment of every environment where that was promoted, and was no rollback; oldest first."""
        return self._newest(and_(DeploymentRow.state == DeploymentState.PROMOTED, DeploymentRow.rolls_back.is_(None)))

    def _newest(self, which: ColumnElement[bool]) -> list[Deployment]:
        newest = select(func.max(DeploymentRow.seq)).group_by(DeploymentRow.service, DeploymentRow.environment)
        query = select(DeploymentRow).where(DeploymentRow.seq.in_(newest), which).order_by(DeploymentRow.seq)
        with self._store.reading() as session:
            return [deployment_record(row) for row in session.scalars(query)]

    def owners(self) -> set[Claim]:
        """The runs that own an environment."""
        with self._store.reading() as session:
            rows = session.execute(
                select(LeaseRow.service, LeaseRow.environment, LeaseRow.pipeline, LeaseRow.run_id).where(
                    LeaseRow.run_id.is_not(None)
                )
            )
            return {(row[0], row[1], row[2] or "", row[3] or "") for row in rows}

    def queued(self) -> set[Claim]:
        """The runs that wait for an environment."""
        request = LeaseRequestRow
        with self._store.reading() as session:
            rows = session.execute(
                select(request.service, request.environment, request.pipeline, request.run_id).where(
                    request.state == "waiting", request.keep_until > self._store.now(session)
                )
            )
            return {(row[0], row[1], row[2], row[3]) for row in rows}

    # -- findings ----------------------------------------------------------------------------------------------

    def found(
        self,
        claim: Claim,
        *,
        deployment_id: str | None,
        cause: StuckCause,
        detail: str,
        token: int,
    ) -> Finding:
        """Record that a run cannot go on, before anything is done about it; one that is open already is gone on with.

        :param claim: the environment and the run.
        :param deployment_id: what the run has left unfinished there, if anything.
        :param cause: why it cannot go on.
        :param detail: the same in one sentence.
        :param token: of the acting guard.
        :raises LeaseLost: another guard acts by now.
        """
        service, environment, pipeline, run_id = claim
        with self._store.writing() as session:
            self._fenced(session, token)
            row = session.scalars(
                select(FindingRow).where(
                    FindingRow.service == service,
                    FindingRow.environment == environment,
                    FindingRow.pipeline == pipeline,
                    FindingRow.run_id == run_id,
                    FindingRow.state.in_(_OPEN),
                )
            ).first()
            if row is None:
                row = self._new(session, claim, deployment_id, FindingState.ACTING)
            row.cause, row.detail, row.attempts = cause, detail, row.attempts + 1
            return _finding(self._store.written(session, row))

    def tell_put_back(
        self,
        claim: Claim,
        *,
        deployment_id: str,
        detail: str,
        outcome: str,
        token: int,
        cause: StuckCause = StuckCause.PUT_BACK,
    ) -> Finding | None:
        """Record that somebody else runs what is not to run, before anybody is told.

        :param claim: the environment, and the run of the last deployment there.
        :param deployment_id: that deployment.
        :param cause: whether it is what was rolled back, by default, or in the place of what was promoted.
        :param detail: what runs, since when and by whom, in one sentence without its full stop.
        :param outcome: what is done about it.
        :param token: of the acting guard.
        :returns: None when it is recorded already, and has not ended since.
        :raises LeaseLost: another guard acts by now.
        """
        with self._store.writing() as session:
            self._fenced(session, token)
            if session.scalars(_put_back().where(FindingRow.deployment_id == deployment_id)).first() is not None:
                return None
            row = self._new(session, claim, deployment_id, FindingState.TOLD)
            row.cause, row.detail, row.outcome, row.attempts = cause, detail, outcome, 1
            return _finding(self._store.written(session, row))

    def put_back(self, service: str | None = None, environment: str | None = None) -> list[Finding]:
        """Where what was rolled back runs again, or something else than was promoted, by somebody else; oldest first.

        :param service: of this service; None, the default, for all.
        :param environment: in this environment; None, the default, for all.
        """
        query = _put_back()
        if service is not None:
            query = query.where(FindingRow.service == service)
        if environment is not None:
            query = query.where(FindingRow.environment == environment)
        with self._store.reading() as session:
            return [_finding(row) for row in session.scalars(query)]

    def ended(self, number: int, state: FindingState, outcome: str) -> Finding:
        """Record what came of it; needs no token, for what has happened has happened.

        :param number: the finding.
        :param state: what became of it; *failing* keeps it open.
        :param outcome: the same in one sentence.
        """
        with self._store.writing() as session:
            row = session.get(FindingRow, number)
            if row is None:
                raise LedgerRefused(f"the guard has no finding {number}.", state="nothing was written.")
            row.state, row.outcome = state, outcome
            row.ended_at = None if state in _OPEN else self._store.now(session)
            return _finding(self._store.written(session, row))

    def findings(
        self, pipeline: str | None = None, run_id: str | None = None, *, only_open: bool = False, limit: int = 100
    ) -> list[Finding]:
        """What the guard found, newest first.

        :param pipeline: of this pipeline; None for all.
        :param run_id: of this run; None for all.
        :param only_open: without those of which nothing is left to do.
        :param limit: how many at most.
        """
        query = select(FindingRow).order_by(FindingRow.seq.desc()).limit(limit)
        if pipeline is not None:
            query = query.where(FindingRow.pipeline == pipeline)
        if run_id is not None:
            query = query.where(FindingRow.run_id == run_id)
        if only_open:
            query = query.where(FindingRow.state.in_(_OPEN))
        with self._store.reading() as session:
            return [_finding(row) for row in session.scalars(query)]

    def _new(self, session: Session, claim: Claim, deployment_id: str | None, state: FindingState) -> FindingRow:
        service, environment, pipeline, run_id = claim
        now = self._store.now(session)
        row = FindingRow(
            service=service,
            environment=environment,
            pipeline=pipeline,
            run_id=run_id,
            deployment_id=deployment_id,
            state=state,
            outcome="",
            attempts=0,
            found_at=now,
        )
        session.add(row)
        return row

    def _fenced(self, session: Session, token: int) -> None:
        row = session.scalars(select(GuardRow).where(GuardRow.name == _NAME).with_for_update()).one_or_none()
        if row is None or row.token != token:
            raise LeaseLost("another guard has taken over.", state="nothing was written by this one.")


def _put_back() -> Select[Any]:
    return select(FindingRow).where(FindingRow.ended_at.is_(None), FindingRow.state == FindingState.TOLD)


def _finding(row: FindingRow) -> Finding:
    return Finding(
        number=row.seq,
        service=row.service,
        environment=row.environment,
        pipeline=row.pipeline,
        run_id=row.run_id,
        deployment_id=row.deployment_id,
        cause=StuckCause(row.cause),
        detail=row.detail,
        state=FindingState(row.state),
        outcome=row.outcome,
        attempts=row.attempts,
        found_at=row.found_at,
        ended_at=row.ended_at,
    )

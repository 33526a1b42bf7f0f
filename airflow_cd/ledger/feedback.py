"""Feedback of people on events. Nothing is ever changed or deleted: what was not undone is in force."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger import chain
from airflow_cd.ledger.models import FeedbackRow
from airflow_cd.ledger.records import FeedbackRecord
from airflow_cd.ledger.store import Part
from airflow_cd.states import HumanAction
from airflow_cd.verification.logs.feedback import SAYS


class FeedbackHistory(Part):
    """Feedback on events, for one environment of a service or for all of them."""

    def record(
        self,
        service: str,
        event_id: str,
        says: str,
        *,
        who: str,
        why: str,
        environment: str | None = None,
        template: str = "",
        sample: str = "",
    ) -> FeedbackRecord:
        """Record a person's judgement of an event; verifications apply it from their next look on.

        :param service: whose event it is.
        :param event_id: the event.
        :param says: one of :data:`~airflow_cd.verification.logs.feedback.SAYS`.
        :param who: the person.
        :param why: the reason; not empty.
        :param environment: where it holds; None for every environment of the service. Feedback for one environment
            outranks feedback for all.
        :param template: the event's template: with ``sample`` it finds the event again where a later version of this
            package gives it another id.
        :param sample: a record of the event.
        :raises LedgerRefused: there is no such feedback, or no reason is given.
        """
        if says not in SAYS:
            raise LedgerRefused(
                f"{says!r} is not feedback on an event.",
                service=service,
                environment=environment,
                state="nothing was recorded.",
                next_step=f"Use one of {', '.join(SAYS)}.",
            )
        _require_reason(why, "feedback", service, environment)
        with self._store.writing() as session:
            row = FeedbackRow(
                service=service,
                environment=environment,
                event_id=event_id,
                says=says,
                template=template,
                sample=sample,
                at=self._store.now(session),
                who=who,
                why=why,
            )
            session.add(row)
            _audit(session, row, HumanAction.GAVE_FEEDBACK)
            return _record(self._store.written(session, row), undone=False)

    def undo(self, number: int, *, who: str, why: str) -> FeedbackRecord:
        """Undo one piece of feedback: the one before it is in force again.

        :param number: the ``id`` of its record.
        :param who: the person who undoes it.
        :param why: the reason; not empty.
        :raises LedgerRefused: there is no such feedback, it was undone already, or no reason is given.
        """
        _require_reason(why, "undoing feedback")
        with self._store.writing() as session:
            given = session.scalars(select(FeedbackRow).where(FeedbackRow.seq == number)).one_or_none()
            if given is None or given.undoes is not None:
                of = session.scalars(select(FeedbackRow.service).distinct().order_by(FeedbackRow.service)).all()
                services = of[0] if len(of) == 1 else "<service>"
                raise LedgerRefused(
                    f"there is no feedback with the number {number}"
                    + ("." if of else ": nobody has given feedback in this ledger yet."),
                    state="nothing was changed.",
                    next_step=f"`airflow-cd feedback list {services} --history` shows the numbers."
                    if of
                    else "Nothing to do.",
                )
            earlier = session.scalars(select(FeedbackRow).where(FeedbackRow.undoes == number)).first()
            if earlier is not None:
                raise LedgerRefused(
                    f"feedback {number} was undone already, by {earlier.who}: {earlier.why}",
                    service=given.service,
                    environment=given.environment,
                    state="nothing was changed.",
                    next_step="To put it in force again, record it again.",
                )
            row = FeedbackRow(
                service=given.service,
                environment=given.environment,
                event_id=given.event_id,
                says=given.says,
                template=given.template,
                sample=given.sample,
                undoes=number,
                at=self._store.now(session),
                who=who,
                why=why,
            )
            session.add(row)
            _audit(session, row, HumanAction.UNDID_FEEDBACK)
            return _record(self._store.written(session, row), undone=False)

    def in_force(self, service: str, environment: str) -> list[FeedbackRecord]:
        """The feedback in force in an environment, one record for each event, newest first.

        Feedback for this environment alone comes first. ``default`` counts as feedback, too: it returns an event to
        the rules that has other feedback for every environment.
        """
        in_force: dict[str, FeedbackRecord] = {}
        history = self.history(service, environment)
        standing = [record for record in history if record.undoes is None and not record.undone]
        for own in (True, False):
            for record in standing:
                if (record.environment is not None) is own:
                    in_force.setdefault(record.event_id, record)
        return list(in_force.values())

    def history(
        self, service: str, environment: str | None = None, event_id: str | None = None
    ) -> list[FeedbackRecord]:
        """All feedback, undone too, newest first.

        :param service: whose events.
        :param environment: only what holds in this one; by default in any.
        :param event_id: only on this event.
        """
        query = select(FeedbackRow).where(FeedbackRow.service == service)
        if environment is not None:
            query = query.where(or_(FeedbackRow.environment == environment, FeedbackRow.environment.is_(None)))
        if event_id is not None:
            query = query.where(FeedbackRow.event_id == event_id)
        with self._store.reading() as session:
            rows = session.scalars(query.order_by(FeedbackRow.seq.desc())).all()
            return _records(rows)


def _records(rows: Sequence[FeedbackRow]) -> list[FeedbackRecord]:
    undone = {row.undoes for row in rows}
    return [_record(row, undone=row.seq in undone) for row in rows]


def _record(row: FeedbackRow, *, undone: bool) -> FeedbackRecord:
    return FeedbackRecord(
        id=row.seq,
        service=row.service,
        environment=row.environment,
        event_id=row.event_id,
        says=row.says,
        who=row.who,
        why=row.why,
        at=row.at,
        template=row.template,
        sample=row.sample,
        undoes=row.undoes,
        undone=undone,
    )


def _require_reason(why: str, what: str, service: str | None = None, environment: str | None = None) -> None:
    if not why.strip():
        raise LedgerRefused(
            f"{what} requires a reason.",
            service=service,
            environment=environment,
            state="nothing was recorded.",
            next_step="Give a reason.",
        )


def _audit(session: Session, row: FeedbackRow, action: HumanAction) -> None:
    detail = {"event": row.event_id, "says": row.says, "template": row.template[:400]}
    chain.append(
        session,
        at=row.at,
        who=row.who,
        action=action,
        why=row.why,
        service=row.service,
        environment=row.environment,
        allowed=True,
        detail=detail if row.undoes is None else {**detail, "undoes": row.undoes},
    )

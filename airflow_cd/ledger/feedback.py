"""What people say of events. Nothing is ever changed or deleted: what is in force is what was not undone."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger.models import FeedbackRow, HumanActionRow
from airflow_cd.ledger.records import FeedbackRecord
from airflow_cd.ledger.store import Room
from airflow_cd.verification.logs.feedback import SAYS


class FeedbackHistory(Room):
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
        """Record a person's judgement of an event; the next look of any verification goes by it.

        :param says: one of :data:`~airflow_cd.verification.logs.feedback.SAYS`.
        :param environment: where it holds; None for every environment of the service. What is said for one
            environment outranks what is said for all.
        :param template: the event's template, and ``sample`` a record of it: the event is found again by them where
            a later version of this package gives it another id.

        Raises :class:`LedgerRefused` for a word that is none of these, and when no reason is given.
        """
        if says not in SAYS:
            raise LedgerRefused(f"{says!r} is no feedback.", next_step=f"Use one of {', '.join(SAYS)}.")
        _require_reason(why, "feedback")
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
            session.add(_human_action(row, "feedback"))
            return _record(self._store.written(session, row), undone=False)

    def undo(self, number: int, *, who: str, why: str) -> FeedbackRecord:
        """Take one statement back: what was said before it is in force again.

        :param number: the statement's ``id``.

        Raises :class:`LedgerRefused` when there is no such statement, it was undone already, or no reason is given.
        """
        _require_reason(why, "undoing feedback")
        with self._store.writing() as session:
            said = session.scalars(select(FeedbackRow).where(FeedbackRow.seq == number)).one_or_none()
            if said is None or said.undoes is not None:
                raise LedgerRefused(
                    f"there is no feedback with the number {number}.",
                    state="nothing was changed.",
                    next_step="Look at the history: every statement has its number there.",
                )
            earlier = session.scalars(select(FeedbackRow).where(FeedbackRow.undoes == number)).first()
            if earlier is not None:
                raise LedgerRefused(
                    f"feedback {number} was undone already, by {earlier.who}: {earlier.why}",
                    state="nothing was changed.",
                    next_step="To have it in force again, record it again.",
                )
            row = FeedbackRow(
                service=said.service,
                environment=said.environment,
                event_id=said.event_id,
                says=said.says,
                template=said.template,
                sample=said.sample,
                undoes=number,
                at=self._store.now(session),
                who=who,
                why=why,
            )
            session.add(row)
            session.add(_human_action(row, "undo feedback"))
            return _record(self._store.written(session, row), undone=False)

    def in_force(self, service: str, environment: str) -> list[FeedbackRecord]:
        """What is in force there, one statement for each event: first those for this environment alone, newest first.

        ``default`` is a statement, too: it puts an event under the rules again that is judged otherwise everywhere
        else.
        """
        in_force: dict[str, FeedbackRecord] = {}
        history = self.history(service, environment)
        standing = [said for said in history if said.undoes is None and not said.undone]
        for own in (True, False):
            for said in standing:
                if (said.environment is not None) is own:
                    in_force.setdefault(said.event_id, said)
        return list(in_force.values())

    def history(
        self, service: str, environment: str | None = None, event_id: str | None = None
    ) -> list[FeedbackRecord]:
        """Everything that was said, and undone, newest first.

        :param environment: only what concerns this one; by default what was said for any and for all.
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


def _require_reason(why: str, what: str) -> None:
    if not why.strip():
        raise LedgerRefused(f"{what} needs a reason.", state="nothing was written.", next_step="Say why.")


def _human_action(row: FeedbackRow, action: str) -> HumanActionRow:
    detail = {"event": row.event_id, "says": row.says, "template": row.template[:400]}
    return HumanActionRow(
        at=row.at,
        who=row.who,
        action=action,
        why=row.why,
        service=row.service,
        environment=row.environment,
        allowed=True,
        detail=detail if row.undoes is None else {**detail, "undoes": row.undoes},
    )

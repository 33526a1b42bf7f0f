"""The audit log: who did what by hand, when and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger import chain
from airflow_cd.ledger.models import AuditRow, QuestionRow
from airflow_cd.ledger.records import AuditRecord, ChainState, Intended, Intent
from airflow_cd.ledger.store import Part
from airflow_cd.states import HumanAction


class Audit(Part):
    """Manual actions, those that were refused too. Nothing in it is ever changed or deleted."""

    def record(
        self,
        *,
        who: str,
        action: str,
        why: str,
        pipeline: str | None,
        run_id: str | None,
        task_id: str | None,
        service: str | None = None,
        environment: str | None = None,
        allowed: bool = True,
        detail: Mapping[str, Any] | None = None,
    ) -> AuditRecord:
        """Record what a person did, or tried to do without being allowed to.

        :param who: the person.
        :param action: a :class:`~airflow_cd.states.HumanAction`, with what was chosen after it where it matters.
        :param why: the reason they gave; may be empty.
        :param pipeline: the pipeline it was done to, if any; so are the others.
        :param run_id: its run.
        :param task_id: its task.
        :param service: the service.
        :param environment: the environment.
        :param allowed: False for an attempt that was refused.
        :param detail: anything else worth keeping; JSON values.
        """
        with self._store.writing() as session:
            row = chain.append(
                session,
                at=self._store.now(session),
                who=who,
                action=action,
                why=why,
                pipeline=pipeline,
                run_id=run_id,
                task_id=task_id,
                service=service,
                environment=environment,
                allowed=allowed,
                detail=dict(detail or {}),
            )
            return _record(self._store.written(session, row))

    def intend(self, intents: Sequence[Intent]) -> list[Intended]:
        """Record what a person is about to do, before it is done: all of it, or none.

        An intent that answers an open question is recorded as that answer.

        :param intents: in the order of the request.
        """
        with self._store.writing() as session:
            chain.lock(session)
            return [self._intend(session, intent) for intent in intents]

    def _intend(self, session: Session, intent: Intent) -> Intended:
        questions = _open_questions(session, intent)
        asked = questions.get(intent.task_id or "")
        option = intent.answers.get(intent.task_id or "")
        detail: dict[str, Any] = {}
        if intent.is_mark and intent.answers:
            detail[chain.MARKS] = {
                task: {"option": answer, "life": intent.lives.get(task)} for task, answer in intent.answers.items()
            }
        action = intent.action
        if asked is not None and option in asked.options:
            detail |= {"option": option, "subject": asked.subject, "as": intent.action}
            action = HumanAction.ANSWER_RECORDED
        row = chain.append(
            session,
            at=self._store.now(session),
            who=intent.who,
            action=action,
            why=intent.why,
            pipeline=intent.pipeline,
            run_id=intent.run_id,
            task_id=intent.task_id,
            allowed=True,
            detail=detail,
        )
        return Intended(row.seq, sorted(questions))

    def not_done(self, intended: int, *, why: str, refused: bool) -> None:
        """Record that what a person intended was not done.

        :param intended: number of the intent's record.
        :param why: what came of it.
        :param refused: whether it was refused; otherwise it failed, and may have been asked for again since.
        :raises LedgerRefused: there is no such record.
        """
        with self._store.writing() as session:
            row = session.get(AuditRow, intended)
            if row is None:
                raise LedgerRefused(f"nobody has intended anything under number {intended}.", state="nothing changed.")
            chain.append(
                session,
                at=self._store.now(session),
                who=row.who,
                action=row.action,
                why=why,
                pipeline=row.pipeline,
                run_id=row.run_id,
                task_id=row.task_id,
                allowed=False,
                detail={chain.OUTCOME_OF: intended, "refused": refused},
            )

    def verify(self, head: str = "") -> ChainState:
        """Whether the log is as it was written.

        :param head: the hash of a record that it must hold, as it was noted earlier; ``""`` for none.
        """
        previous, count, found = "", 0, not head
        with self._store.reading() as session:
            for row in session.scalars(select(AuditRow).order_by(AuditRow.seq).execution_options(yield_per=500)):
                if row.previous != previous or row.digest != chain.digest_of(row):
                    return ChainState(count, previous, broken_at=row.seq, head_found=found or row.digest == head)
                previous, count, found = row.digest, count + 1, found or row.digest == head
        return ChainState(count, previous, head_found=found)

    def actions(self, pipeline: str | None = None, run_id: str | None = None, limit: int = 200) -> list[AuditRecord]:
        """Manual actions, newest first; without those that Airflow failed to do, and refused ones as such.

        :param pipeline: only of this pipeline.
        :param run_id: only of this run.
        :param limit: how many at most.
        """
        wanted = {"pipeline": pipeline, "run_id": run_id}
        query = select(AuditRow).filter_by(**{name: value for name, value in wanted.items() if value is not None})
        with self._store.reading() as session:
            if pipeline is not None and run_id is not None:
                query = chain.of_run(session, query, pipeline, run_id)
            rows = session.scalars(query.order_by(AuditRow.seq.desc()).limit(limit)).all()
        return _with_outcomes(rows)


def _open_questions(session: Session, intent: Intent) -> dict[str, QuestionRow]:
    """By task that the intent may reach, what it has asked in its present life and nobody has answered."""
    if not intent.run_id or not intent.asking:
        return {}
    rows = session.scalars(
        select(QuestionRow).where(
            QuestionRow.pipeline == intent.pipeline,
            QuestionRow.run_id == intent.run_id,
            QuestionRow.task_id.in_(list(intent.asking)),
            QuestionRow.option.is_(None),
        )
    )
    return {row.task_id: row for row in rows if row.life in (None, intent.lives.get(row.task_id))}


def _with_outcomes(rows: Sequence[AuditRow]) -> list[AuditRecord]:
    outcomes = {row.detail[chain.OUTCOME_OF]: row for row in rows if chain.OUTCOME_OF in row.detail}
    found = []
    for row in rows:
        outcome = outcomes.get(row.seq)
        if chain.OUTCOME_OF in row.detail or (outcome is not None and not outcome.detail["refused"]):
            continue
        record = _record(row)
        found.append(record if outcome is None else replace(record, allowed=False))
    return found


def _record(row: AuditRow) -> AuditRecord:
    return AuditRecord(
        id=row.seq,
        at=row.at,
        who=row.who,
        action=row.action,
        why=row.why,
        pipeline=row.pipeline,
        run_id=row.run_id,
        task_id=row.task_id,
        service=row.service,
        environment=row.environment,
        allowed=row.allowed,
        detail=row.detail,
    )

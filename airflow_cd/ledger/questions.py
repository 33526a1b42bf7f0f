"""Questions that runs ask people, such as approvals, and their answers, of which the first counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_cd.commits import Commits
from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger import chain
from airflow_cd.ledger.chain import MARKS, OUTCOME_OF
from airflow_cd.ledger.models import AuditRow, QuestionRow
from airflow_cd.ledger.records import Mark, Question
from airflow_cd.ledger.store import Part
from airflow_cd.release import Release
from airflow_cd.states import HumanAction


class Questions(Part):
    """One question for each task that asks one."""

    def ask(
        self,
        *,
        pipeline: str,
        run_id: str,
        task_id: str,
        options: Sequence[str],
        approvers: Sequence[str],
        subject: str,
        body: str,
        deadline: datetime | None,
        proposed: Mapping[str, Release] | None = None,
        commits: Mapping[str, Commits] | None = None,
        life: int | None = None,
        run_started: datetime | None = None,
    ) -> Question:
        """Ask a question; one that was asked already stays as it was, with its answer, unless it was reopened.

        What was asked in another life of the task is void, with its answer.

        :param pipeline: the pipeline of the asking task.
        :param run_id: its run.
        :param task_id: the task.
        :param options: the answers to choose from; at least one.
        :param approvers: who may answer; to be enforced by the code that accepts an answer.
        :param subject: the question.
        :param body: what a person must know to answer it.
        :param deadline: when the asker's default answer counts; None for never.
        :param proposed: by environment, the release it would get.
        :param commits: by environment, the commits it would get.
        :param life: which life of the task asks.
        :param run_started: when the run was started, aware; with ``life`` it tells one life of the task from another.
        :raises LedgerRefused: there are no options.
        """
        if not options:
            raise LedgerRefused(
                "a question needs options to choose from.",
                pipeline=pipeline,
                state="nothing was asked.",
                next_step="Give at least one option.",
            )
        asked = {
            "options": list(options),
            "approvers": list(approvers),
            "subject": subject,
            "body": body,
            "deadline": deadline,
            "proposed": {name: release.as_dict() for name, release in (proposed or {}).items()},
            "commits": {name: found.as_dict() for name, found in (commits or {}).items()},
            "life": life,
            "run_started": run_started,
            "reopened": False,
        }
        with self._store.writing() as session:
            # A mark is recorded before Airflow gets it, under the same lock: either it is seen here, or who marks sees
            # this question and waits until its task does.
            chain.lock(session)
            place = {"pipeline": pipeline, "run_id": run_id, "task_id": task_id}
            self._store.insert_once(session, QuestionRow, **place, **asked, asked_at=self._store.now(session))
            row = self._question(session, pipeline, run_id, task_id)
            if (row.life, row.run_started) != (life, run_started):
                row.option = row.who = row.why = row.answered_at = None
                row.reopened, row.asked_at = True, self._store.now(session)
            if row.reopened and row.option is None:
                for name, value in asked.items():
                    setattr(row, name, value)
            question = _record(self._store.written(session, row))
            return replace(question, mark=_mark(session, question)) if question.option is None else question

    def answer(
        self,
        pipeline: str,
        run_id: str,
        task_id: str,
        *,
        option: str,
        who: str,
        why: str,
        at: datetime | None = None,
        recorded: bool = False,
    ) -> Question:
        """Answer a question and record that in the audit log; the same answer again changes nothing.

        Whether ``who`` may answer is for the caller to enforce.

        :param pipeline: the pipeline of the asking task.
        :param run_id: its run.
        :param task_id: the task.
        :param option: the answer, one of the question's options.
        :param who: the person; empty when the time was over and the default counts, which is no manual action.
        :param why: the reason.
        :param at: when it was given, aware; by default now.
        :param recorded: whether the audit log has it already.
        :raises LedgerRefused: the question was never asked, does not have this option, or has another answer.
        """
        with self._store.writing() as session:
            # Before the question's row, as everywhere else.
            chain.lock(session)
            row = self._question(session, pipeline, run_id, task_id)
            if option not in row.options:
                raise LedgerRefused(
                    f"{option!r} is not an answer to {row.subject!r}.",
                    pipeline=pipeline,
                    state="the question is unchanged.",
                    next_step=f"Choose one of {', '.join(row.options)}.",
                )
            if row.option == option:
                return _record(row)
            if row.option is not None:
                first = f"{row.option!r} by {row.who}" if row.who else f"{row.option!r} by default (timed out)"
                raise LedgerRefused(
                    f"{row.subject!r} was answered {first} at {row.answered_at:%Y-%m-%d %H:%M:%S} UTC, and the first "
                    "answer counts.",
                    pipeline=pipeline,
                    state=f"{option!r} by {who or 'default'} changed nothing.",
                    next_step="Clear the task to be asked again.",
                )
            now = self._store.now(session)
            row.option, row.who, row.why, row.answered_at = option, who or None, why, at or now
            if who and not recorded:
                chain.append(
                    session,
                    at=at or now,
                    who=who,
                    action=HumanAction.ANSWER_RECORDED,
                    why=why,
                    pipeline=pipeline,
                    run_id=run_id,
                    task_id=task_id,
                    allowed=True,
                    detail={"option": option, "subject": row.subject},
                )
            return _record(self._store.written(session, row))

    def get(self, pipeline: str, run_id: str, task_id: str) -> Question | None:
        """The question that the task asked, with its answer if there is one; None if it has asked none."""
        with self._store.reading() as session:
            row = session.get(QuestionRow, (pipeline, run_id, task_id))
            return None if row is None else _record(row)

    def of_run(self, pipeline: str, run_id: str) -> list[Question]:
        """Every question that the tasks of a run have asked, by task."""
        with self._store.reading() as session:
            rows = session.scalars(
                select(QuestionRow)
                .where(QuestionRow.pipeline == pipeline, QuestionRow.run_id == run_id)
                .order_by(QuestionRow.task_id)
            )
            return [_record(row) for row in rows]

    def reopen(self, pipeline: str, run_id: str, task_id: str) -> Question:
        """Remove the answer, so that the question is asked again; the audit log keeps who had answered what.

        The next :meth:`ask` may change text, options and deadline.

        :param pipeline: the pipeline of the asking task.
        :param run_id: its run.
        :param task_id: the task.
        :raises LedgerRefused: the question was never asked.
        """
        with self._store.writing() as session:
            row = self._question(session, pipeline, run_id, task_id)
            row.option = row.who = row.why = row.answered_at = None
            row.reopened, row.asked_at = True, self._store.now(session)
            return _record(self._store.written(session, row))

    def _question(self, session: Session, pipeline: str, run_id: str, task_id: str) -> QuestionRow:
        row = session.get(QuestionRow, (pipeline, run_id, task_id), with_for_update=True, populate_existing=True)
        if row is None:
            raise LedgerRefused(
                f"task {task_id} of run {run_id} has not asked a question.",
                pipeline=pipeline,
                state="nothing was written.",
                next_step="Check pipeline, run and task.",
            )
        return row


def _mark(session: Session, question: Question) -> Mark | None:
    """A mark on the task in its present life that was not refused, the first one."""
    query = select(AuditRow).where(AuditRow.pipeline == question.pipeline, AuditRow.run_id == question.run_id)
    # The log keeps the run's id for what was done to an earlier run that had it, too.
    query = chain.of_run(session, query, question.pipeline, question.run_id)
    rows = session.scalars(query.order_by(AuditRow.seq)).all()
    undone = {row.detail.get(OUTCOME_OF) for row in rows}
    for row in rows:
        mark = row.detail.get(MARKS, {}).get(question.task_id)
        if mark is not None and mark["life"] == question.life and row.allowed and row.seq not in undone:
            return Mark(mark["option"], row.who, row.why)
    return None


def _record(row: QuestionRow) -> Question:
    return Question(
        pipeline=row.pipeline,
        run_id=row.run_id,
        task_id=row.task_id,
        options=tuple(row.options),
        approvers=tuple(row.approvers),
        subject=row.subject,
        body=row.body,
        proposed={name: Release.from_dict(content) for name, content in (row.proposed or {}).items()},
        commits={name: Commits.from_dict(content) for name, content in (row.commits or {}).items()},
        asked_at=row.asked_at,
        deadline=row.deadline,
        option=row.option,
        who=row.who,
        why=row.why,
        answered_at=row.answered_at,
        life=row.life,
        run_started=row.run_started,
    )

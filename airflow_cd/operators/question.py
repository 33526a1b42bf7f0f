"""Asking a person: the task waits as *awaiting input*, which holds no worker, no triggerer and no pool slot."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput
from airflow.sdk.execution_time.hitl import HITLUser, upsert_hitl_detail

from airflow_cd.clock import now
from airflow_cd.operators.attempts import life_of
from airflow_cd.operators.runs import run_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.commits import Commits
    from airflow_cd.ledger import Ledger, Question
    from airflow_cd.ledger.records import Mark
    from airflow_cd.release import Release


APPROVE, REJECT = "Approve", "Reject"
ENDED = ("success", "failed", "skipped")
LONGEST_MARK = 10.0
"""Seconds from when a mark is recorded until Airflow has it, at most."""
TIMED_OUT = "timed out without an answer"


@dataclass(frozen=True)
class Answer:
    """What was chosen, by whom and why.

    :param option: one of the question's options.
    :param who: name of the user; ``""`` when it timed out without an answer and the default counts.
    :param why: the user's reason, ``""`` for none.
    """

    option: str
    who: str = ""
    why: str = ""

    @property
    def by(self) -> str:
        """Who answered, as logs and errors show it."""
        return self.who or "the default answer"


def ask(
    ledger: Ledger,
    context: Context,
    *,
    subject: str,
    body: str,
    markdown: str = "",
    options: Sequence[str],
    default: str,
    timeout: timedelta,
    method: str,
    approvers: Sequence[str] = (),
    proposed: Mapping[str, Release] | None = None,
    commits: Mapping[str, Commits] | None = None,
) -> NoReturn:
    """Show the question as a required action, and wait until somebody answers or it times out.

    The question goes into the ledger too: an answer that is lost while Airflow resumes the task is taken from there
    by the next attempt.

    :param ledger: where the question and its answer are kept.
    :param context: of the task that asks.
    :param subject: the question, one line.
    :param body: what helps to decide, as Markdown, or as plain text where ``markdown`` is given.
    :param markdown: the same as Markdown, which is what Airflow shows.
    :param options: what can be chosen.
    :param default: the option that counts when nobody answers in time.
    :param timeout: how long to wait for an answer.
    :param method: name of the operator's method that is called with the answer.
    :param approvers: user names that may answer; empty: everybody who may edit the run.
    :param proposed: by environment, the release that would be deployed.
    :param commits: by environment, the commits that it would bring.
    :raises TaskAwaitingInput: Airflow takes it from there.
    :raises AirflowFailException: a person has marked the task before it could ask; Airflow keeps the mark.
    :raises LedgerError: the question could not be recorded; nothing is asked then.
    """
    ti, life = context["ti"], life_of(context)
    question = ledger.questions.ask(
        pipeline=ti.dag_id,
        run_id=run_of(ledger, context).run_id,
        task_id=ti.task_id,
        life=life.number,
        run_started=life.run_started,
        options=list(options),
        approvers=list(approvers),
        subject=subject,
        body=body,
        deadline=now() + timeout,
        proposed=proposed,
        commits=commits,
    )
    if question.mark is not None and _is_over(context):
        raise _overtaken(ledger, question, question.mark)
    upsert_hitl_detail(
        ti_id=ti.id,
        options=list(options),
        subject=subject,
        body=markdown or body,
        defaults=[default],
        multiple=False,
        params={"reason": {"value": "", "schema": {"type": ["string", "null"], "title": "Reason"}, "description": ""}},
        assigned_users=[HITLUser(id=name, name=name) for name in approvers],
    )
    raise TaskAwaitingInput(method_name=method, timeout=timeout)


def _is_over(context: Context) -> bool:
    """Whether a mark that is on its way to Airflow has arrived there, and nothing is left to wait for."""
    ti, deadline = context["ti"], time.monotonic() + LONGEST_MARK
    while True:
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id])
        if states.get(ti.run_id, {}).get(ti.task_id) in ENDED:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.2)


def _overtaken(ledger: Ledger, question: Question, mark: Mark) -> AirflowFailException:
    """Keep the mark as the answer to what was about to be asked, so that what follows knows what was approved."""
    if mark.option in question.options:
        place = (question.pipeline, question.run_id, question.task_id)
        ledger.questions.answer(*place, option=str(mark.option), who=mark.who, why=mark.why, recorded=True)
    return AirflowFailException(
        f"{mark.who} marked this task before it could ask. State: the mark stands; this process changes nothing. "
        "Next: nothing to do."
    )


def present_question(ledger: Ledger, context: Context) -> Question | None:
    """The question that this task has asked in its present life; what it asked in another one is void.

    :param ledger: where questions are kept.
    :param context: of the task.
    :raises LedgerUnavailable: the ledger is away.
    """
    ti = context["ti"]
    known = ledger.questions.get(ti.dag_id, run_of(ledger, context).run_id, ti.task_id)
    return known if known is not None and life_of(context).asked(known) else None


def read_answer(ledger: Ledger, context: Context, event: Mapping[str, Any], *, default: str) -> Answer:
    """The answer that Airflow resumed the task with, as the ledger keeps it: the first one counts.

    :param ledger: where the answer is kept.
    :param context: of the task that asked.
    :param event: what Airflow passes to the method named in :func:`ask`.
    :param default: the option that counts when it timed out.
    :raises LedgerRefused: the question has no such option.
    :raises LedgerUnavailable: the answer could not be recorded; the next attempt reads it again.
    """
    ti, run_id = context["ti"], run_of(ledger, context).run_id
    known = present_question(ledger, context)
    if known is not None and (answer := given_answer(known)):
        return answer
    option = next(iter(event.get("chosen_options") or ()), default)
    user = event.get("responded_by_user") or {}
    why = str((event.get("params_input") or {}).get("reason") or "")
    who = str(user.get("name") or user.get("id") or "")
    if not who:
        why = why or TIMED_OUT
    ledger.questions.answer(ti.dag_id, run_id, ti.task_id, option=option, who=who, why=why)
    return Answer(option, who, why)


def given_answer(question: Question, *, default: str | None = None) -> Answer | None:
    """The answer in the ledger; None while there is none and there is time left to give one.

    :param question: as the ledger has it.
    :param default: the option that counts once the question's deadline is over; None: it never does.
    """
    if question.option is not None:
        return Answer(question.option, question.who or "", question.why or "")
    # Reopened, and not asked again yet: its deadline is that of the time before.
    over = question.deadline is not None and question.asked_at < question.deadline <= now()
    return Answer(default, why=TIMED_OUT) if over and default is not None else None

"""Asking a person: parks the task as *awaiting input*, which holds no worker, no triggerer and no pool slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.sdk.execution_time.hitl import HITLUser, upsert_hitl_detail

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.commits import Commits
    from airflow_cd.ledger import Ledger
    from airflow_cd.release import Release


@dataclass(frozen=True)
class Answer:
    """What was chosen, by whom and why; ``who`` is empty when the time to answer was over."""

    option: str
    who: str = ""
    why: str = ""


def ask(
    ledger: Ledger,
    context: Context,
    *,
    subject: str,
    body: str,
    options: Sequence[str],
    default: str,
    timeout: timedelta,
    method: str,
    approvers: Sequence[str] = (),
    proposed: Mapping[str, Release] | None = None,
    commits: Mapping[str, Commits] | None = None,
) -> NoReturn:
    """Show the question as a required action and park the task until somebody answers or the time is over.

    The question goes into our ledger too: an answer that Airflow's resume race throws away is honoured from there
    when the task is tried again. Raises :class:`TaskAwaitingInput`, always.
    """
    ti = context["ti"]
    ledger.questions.ask(
        pipeline=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        options=list(options),
        approvers=list(approvers),
        subject=subject,
        body=body,
        deadline=datetime.now(timezone.utc) + timeout,
        proposed=proposed,
        commits=commits,
    )
    upsert_hitl_detail(
        ti_id=ti.id,
        options=list(options),
        subject=subject,
        body=body,
        defaults=[default],
        multiple=False,
        params={"reason": {"value": "", "schema": {"type": ["string", "null"], "title": "Reason"}, "description": ""}},
        assigned_users=[HITLUser(id=name, name=name) for name in approvers],
    )
    raise TaskAwaitingInput(method_name=method, timeout=timeout)


def read_answer(ledger: Ledger, context: Context, event: Mapping[str, Any], *, default: str) -> Answer:
    """The answer Airflow resumed the task with, as the ledger keeps it: the first one counts."""
    ti = context["ti"]
    known = ledger.questions.get(ti.dag_id, ti.run_id, ti.task_id)
    if known is not None and known.option is not None:
        return Answer(known.option, known.who or "", known.why or "")
    option = next(iter(event.get("chosen_options") or ()), default)
    user = event.get("responded_by_user") or {}
    why = str((event.get("params_input") or {}).get("reason") or "")
    who = str(user.get("name") or user.get("id") or "")
    if not who:
        why = why or "no answer in time"
    ledger.questions.answer(ti.dag_id, ti.run_id, ti.task_id, option=option, who=who, why=why)
    return Answer(option, who, why)

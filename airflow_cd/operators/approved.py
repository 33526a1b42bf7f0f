"""What an approval lets through: the releases that were shown to whoever approved, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_cd.errors import NotApproved
from airflow_cd.operators.question import APPROVE
from airflow_cd.operators.role import role_of
from airflow_cd.release import changes
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.ledger import Question
    from airflow_cd.release import Release


def approvals_before(task: BaseOperator) -> list[str]:
    """Ids of the approvals that a task comes after, sorted; empty for a task outside a DAG.

    :param task: any.
    """
    # Untyped in Airflow.
    if not cast("Any", task).has_dag():
        return []
    return sorted(up.task_id for up in task.get_flat_relatives(upstream=True) if role_of(up) is Role.APPROVAL)


def require_approved(task: BaseOperator, delivery: Delivery, release: Release, context: Context) -> None:
    """Refuse a release that an approval before the task has not let through.

    :param task: is about to deploy it.
    :param delivery: where to.
    :param release: what.
    :param context: of the task.
    :raises NotApproved: an approval was not asked or not answered by an approver, or what was approved is not this.
    """
    asked, shown = "", False
    for name in approvals_before(task):
        question = delivery.ledger.questions.get(delivery.pipeline, delivery.run_id, name)
        if question is None:
            if _state(name, context) != "skipped":
                raise _refused(release, f"{name} has not asked anybody", f"Clear {name}, so that it asks.")
            continue
        _require_answer(question, name, release)
        asked = name
        approved = question.proposed.get(delivery.environment)
        if approved is None:
            continue
        shown = True
        if approved.digest != release.digest:
            raise _refused(
                release,
                f"{question.who or 'nobody'} approved {approved} for {delivery.environment}; different now: "
                f"{_differences(approved, release)}",
                "Start a new run, and have it approved.",
            )
    if asked and not shown:
        # What nobody was shown, nobody has approved.
        raise _refused(
            release,
            f"{asked} did not show what it lets through to {delivery.environment}",
            f"Give {asked} the configuration of {delivery.environment} (configurations=...), or a deploy whose release "
            "is known when it asks; then start a new run.",
        )


def _require_answer(question: Question, name: str, release: Release) -> None:
    if question.option != APPROVE:
        answer = f"the answer is {question.option}" if question.option else "nobody has answered"
        raise _refused(release, f"{name} asks and {answer}", f"Have {name} approved, then clear this task.")
    if question.approvers and question.who not in question.approvers:
        raise _refused(
            release,
            f"{question.who or 'nobody'} answered {name} but is not an approver; approvers are "
            f"{', '.join(question.approvers)}",
            f"Clear {name} and let an approver answer.",
        )


def _refused(release: Release, why: str, next_step: str) -> NotApproved:
    return NotApproved(
        f"{release} is not approved: {why}.", release=str(release), state="nothing was changed.", next_step=next_step
    )


def _differences(approved: Release, release: Release) -> str:
    # Names only: a value may be nobody's business.
    rows: Sequence[tuple[str, Any, Any]] = changes(approved, release)
    return ", ".join(name for name, _, _ in rows) or "the order or form of its configuration"


def _state(task_id: str, context: Context) -> str | None:
    ti = context["ti"]
    states: Mapping[str, Any] = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id])
    state: str | None = states.get(ti.run_id, {}).get(task_id)
    return state

"""Which tasks a manual action is about, and what a mark on one that asks people means."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from airflow_cd.answers import GO_ON, ROLL_BACK
from airflow_cd.plugin.audit.manual_actions import RequestedAction
from airflow_cd.plugin.dag_runs.tasks import Place, shape_of, shape_of_run
from airflow_cd.sensors.approval import APPROVE, REJECT
from airflow_cd.states import HumanAction, Role

ASKING = (Role.APPROVAL, Role.VERIFY)

_YES = (HumanAction.MARKED_SUCCESS, HumanAction.MARKED_GROUP_SUCCESS)
_NO = (HumanAction.MARKED_FAILED, HumanAction.MARKED_GROUP_FAILED)


def shape_for(action: RequestedAction) -> Mapping[str, Place]:
    """The tasks that the action may be about: those of the run's own DAG, and those of its newest version.

    :param action: on a task, a group or a run.
    """
    return {**shape_of(action.pipeline), **shape_of_run(action.pipeline, action.run_id)}


def inside(action: RequestedAction, shape: Mapping[str, Place]) -> Collection[str]:
    """The tasks that the action names: a task, or every task of a group, however the group calls its members.

    :param action: on a task or a group.
    :param shape: the tasks of its DAG.
    """
    if not action.group:
        return {action.task_id}
    return {name for name, place in shape.items() if action.task_id in place.groups}


def asking_tasks(action: RequestedAction, shape: Mapping[str, Place]) -> list[str]:
    """The tasks that ask people and that the action is about, sorted; those of the whole run where it may reach them.

    :param action: a mark or an answer.
    :param shape: the tasks of its DAG.
    """
    asking = {name for name, place in shape.items() if place.role in ASKING}
    everything = not action.task_id or action.around or action.other_runs
    return sorted(asking if everything else asking & set(inside(action, shape)))


def answer_of(action: RequestedAction, task_id: str, shape: Mapping[str, Place]) -> str | None:
    """What the action answers on a task that asks; None when it answers nothing there.

    :param action: a mark or an answer.
    :param task_id: the task.
    :param shape: the tasks of its DAG.
    """
    if task_id not in inside(action, shape) or not action.task_id:
        return None
    if action.option is not None:
        return action.option
    approval = shape[task_id].role is Role.APPROVAL
    if action.kind in _YES:
        return APPROVE if approval else GO_ON
    if action.kind in _NO:
        return REJECT if approval else ROLL_BACK
    return None

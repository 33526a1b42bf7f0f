"""What people are about to do by hand is in the ledger before Airflow does it, and so is what came of it."""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_cd.errors import AirflowCdError
from airflow_cd.ledger import Ledger
from airflow_cd.ledger.records import Intended, Intent
from airflow_cd.plugin.audit.audited import audited
from airflow_cd.plugin.audit.enforcement import Refusal
from airflow_cd.plugin.audit.manual_actions import RequestedAction
from airflow_cd.plugin.audit.reach import answer_of, asking_tasks, shape_for
from airflow_cd.plugin.dag_runs.identity import is_present, lives, tell_apart
from airflow_cd.plugin.dag_runs.tasks import Place
from airflow_cd.plugin.error_pages import headers_of
from airflow_cd.sensors.approval import APPROVE
from airflow_cd.states import HumanAction, Role

log = logging.getLogger(__name__)

_NO_ANSWER = (HumanAction.CLEARED, HumanAction.CLEARED_RUN, HumanAction.DELETED)


@dataclass(frozen=True)
class Planned:
    """A manual action on one of our pipelines, as it is about to be recorded.

    :param shape: the tasks of its DAG.
    """

    action: RequestedAction
    shape: Mapping[str, Place]
    intent: Intent


def planned(actions: Sequence[RequestedAction], who: str) -> list[Planned]:
    """Those of the actions that concern a delivery, with what they mean to the tasks that ask people.

    :param actions: the manual actions in a request.
    :param who: name of the user who sent it.
    """
    found = []
    # A request may name hundreds of tasks of one run.
    runs: dict[tuple[str, str], tuple[Mapping[str, Place], Mapping[str, int]]] = {}
    for action in actions:
        place = action.pipeline, action.run_id
        if place not in runs:
            runs[place] = _tasks_of(action), lives(*place)
        shape, alive = runs[place]
        if not shape:
            continue
        asking = asking_tasks(action, shape)
        answers = {} if action.kind in _NO_ANSWER else {task: answer_of(action, task, shape) for task in asking}
        intent = Intent(
            who,
            action.text,
            action.why,
            action.pipeline,
            action.run_id or None,
            action.task_id or None,
            asking,
            answers,
            {task: alive[task] for task in asking if task in alive},
            is_mark=action.kind is not HumanAction.ANSWERED,
        )
        found.append(Planned(action, shape, intent))
    return found


def _tasks_of(action: RequestedAction) -> Mapping[str, Place]:
    """The tasks of the action's DAG, if that delivers anything."""
    shape = shape_for(action)
    # Airflow may have forgotten the DAG, but not what its run asks.
    return shape if any(place.role for place in shape.values()) else _asked_by(action)


def _asked_by(action: RequestedAction) -> Mapping[str, Place]:
    """The tasks of the run that have asked, as far as the ledger can say; nothing for a run that is none of ours."""
    if not action.run_id:
        return {}
    try:
        questions = audited(action.pipeline, action.run_id).questions.of_run(action.pipeline, action.run_id)
    except AirflowCdError:
        log.exception("The ledger cannot say whether %s of %s has asked anything", action.run_id, action.pipeline)
        return {}
    roles = {one.task_id: Role.APPROVAL if APPROVE in one.options else Role.VERIFY for one in questions}
    return {task: Place(task, role=role) for task, role in roles.items()}


def recorded(plans: Sequence[Planned]) -> tuple[list[Intended], Refusal | None]:
    """Record the intents; what cannot be recorded is refused.

    :param plans: as :func:`planned` returns them.
    """
    if not plans:
        return [], None
    try:
        ledgers = [audited(plan.action.pipeline, plan.action.run_id) for plan in plans]
        for plan, ledger in zip(plans, ledgers, strict=True):
            tell_apart(ledger, plan.action.pipeline, plan.action.run_id)
        # All of them are the one that this Airflow uses.
        return ledgers[0].audit.intend([plan.intent for plan in plans]), None
    except AirflowCdError as error:
        log.exception("A manual action cannot be recorded, so it is refused: %s", plans)
        return [], Refusal(
            http.HTTPStatus.SERVICE_UNAVAILABLE,
            f"This cannot be recorded in the ledger, so it is not done: {error} Nothing was changed.",
            headers_of(error),
        )


def unasked(plans: Sequence[Planned]) -> Refusal | None:
    """Why a mark that approves something cannot count: nothing was shown yet that could be approved.

    :param plans: as :func:`planned` returns them.
    """
    for plan in plans:
        action = plan.action
        place = plan.shape.get(action.task_id)
        if action.kind is not HumanAction.MARKED_SUCCESS or place is None or place.role is not Role.APPROVAL:
            continue
        try:
            ledger = audited(action.pipeline, action.run_id)
            question = ledger.questions.get(action.pipeline, action.run_id, action.task_id)
        except AirflowCdError:
            return None  # it cannot be recorded either, and is refused for that
        if question is None or not is_present(question, lives(action.pipeline, action.run_id)):
            return Refusal(
                http.HTTPStatus.CONFLICT,
                f"{action.task_id} has not asked yet: an approval is of what was shown. Nothing was changed; mark it "
                "when it waits.",
            )
    return None


def done(plans: Sequence[Planned], intended: Sequence[Intended], status: int) -> None:
    """Record what came of the intents: answers of those that were done, and that the others were not.

    :param plans: as they were planned.
    :param intended: as they were recorded.
    :param status: HTTP status of Airflow's answer; 0 when it gave none.
    """
    try:
        for plan, record in zip(plans, intended, strict=True):
            ledger = audited(plan.action.pipeline, plan.action.run_id)
            if not 0 < status < http.HTTPStatus.BAD_REQUEST:
                refused = http.HTTPStatus.BAD_REQUEST <= status < http.HTTPStatus.INTERNAL_SERVER_ERROR
                ledger.audit.not_done(record.id, why=f"Airflow answered {status or 'nothing'}", refused=refused)
                continue
            _answer(ledger, plan, record)
    except AirflowCdError:
        # The intent is there: whoever needs the answer takes it from that.
        log.exception("What came of a manual action could not be recorded: %s", plans)


def refused(actions: Sequence[RequestedAction], who: str, why: str) -> None:
    """Record an attempt that was refused.

    :param actions: what was tried.
    :param who: by whom.
    :param why: what was answered.
    """
    try:
        for action in actions:
            audited(action.pipeline, action.run_id).audit.record(
                who=who,
                action=action.text,
                why=action.why,
                pipeline=action.pipeline,
                run_id=action.run_id or None,
                task_id=action.task_id or None,
                allowed=False,
                detail={"because": why},
            )
    except AirflowCdError:
        log.exception("A refused action could not be recorded: %s by %s", actions, who)


def _answer(ledger: Ledger, plan: Planned, record: Intended) -> None:
    action, intent = plan.action, plan.intent
    for task in record.open:
        option = intent.answers.get(task)
        question = ledger.questions.get(action.pipeline, action.run_id, task) if option else None
        if option is None or question is None or question.option is not None or option not in question.options:
            continue
        ledger.questions.answer(
            action.pipeline,
            action.run_id,
            task,
            option=option,
            who=intent.who,
            why=intent.why,
            # What a group's mark answers has no record of its own yet.
            recorded=task == intent.task_id,
        )

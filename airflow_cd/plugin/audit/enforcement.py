"""Who may let a run through an approval that has approvers, whichever way they try it.

Marking the approval is one way. Others are to mark what holds it (its group, the whole run), what comes after it (for
Airflow starts what follows a mark even while the tasks before it wait), or anything together with what stands around
it; and to mark it before it has asked. All of them are for its approvers alone, until one of them has approved.

Marking a whole run failed is for whoever may edit it, as Airflow has it: a stop deploys nothing, and must not wait for
an approver. Clearing is, too: it asks again.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_cd.answers import ROLL_BACK
from airflow_cd.errors import AirflowCdError
from airflow_cd.plugin.audit.audited import audited
from airflow_cd.plugin.audit.manual_actions import RequestedAction
from airflow_cd.plugin.audit.reach import inside, shape_for
from airflow_cd.plugin.dag_runs.identity import is_present, lives, tell_apart
from airflow_cd.plugin.dag_runs.tasks import Place
from airflow_cd.plugin.error_pages import headers_of
from airflow_cd.sensors.approval import REJECT
from airflow_cd.states import HumanAction

log = logging.getLogger(__name__)

_NO = (REJECT, ROLL_BACK)


@dataclass(frozen=True)
class Gate:
    """A task that only some people may answer.

    :param passed: whether it has been answered with something else than no.
    """

    approvers: Collection[str]
    passed: bool = False


@dataclass(frozen=True)
class Refusal:
    """Why a request does not get through.

    :param status: HTTP status of the answer.
    :param message: what was refused, and why.
    :param headers: of the answer.
    """

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(actions: Sequence[RequestedAction], who: str) -> Refusal | None:
    """Why the request may not pass, None when it may.

    :param actions: the manual actions in it; one that may not pass is enough to stop all of them.
    :param who: name of the user who sent it.
    """
    # A request may name hundreds of tasks of one run.
    known: dict[tuple[str, str, bool], tuple[Mapping[str, Place], Mapping[str, Gate], AirflowCdError | None]] = {}
    for action in actions:
        place = action.pipeline, action.run_id, action.other_runs
        if place not in known:
            known[place] = _guarded(action)
        shape, gates, unread = known[place]
        for task_id, gate in gates.items():
            if who in gate.approvers or not _concerns(action, task_id, gate, shape):
                continue
            if unread:
                return Refusal(
                    503,
                    f"It is unknown whether {task_id} has been approved: {unread} Nothing was changed.",
                    headers_of(unread),
                )
            return Refusal(
                403,
                f"{who} is not an approver of {task_id}; approvers are {', '.join(gate.approvers)}. "
                f"{_bypass(action, task_id)}Nothing was changed; the attempt is in the audit log.",
            )
    return None


def _guarded(
    action: RequestedAction,
) -> tuple[Mapping[str, Place], Mapping[str, Gate], AirflowCdError | None]:
    """The tasks of a run, who may pass which of them, and why the ledger could not say more."""
    shape = shape_for(action)
    declared = {task_id: Gate(place.approvers) for task_id, place in shape.items() if place.approvers}
    try:
        return shape, _gates(action, declared), None
    except AirflowCdError as error:
        log.exception("The ledger cannot say who may answer in %s", action.pipeline)
        return shape, declared, error


def _bypass(action: RequestedAction, task_id: str) -> str:
    if action.task_id == task_id and not action.group:
        return ""
    what = f"the {'group' if action.group else 'task'} {action.task_id}" if action.task_id else "the run"
    return f"Marking {what} {str(action.kind).rpartition(' ')[2]} would bypass it. "


def _gates(action: RequestedAction, declared: Mapping[str, Gate]) -> Mapping[str, Gate]:
    gates = dict(declared)
    if action.other_runs:
        return gates
    ledger = audited(action.pipeline, action.run_id)
    tell_apart(ledger, action.pipeline, action.run_id)
    alive = lives(action.pipeline, action.run_id)
    for question in ledger.questions.of_run(action.pipeline, action.run_id):
        answered = question.option is not None and question.option not in _NO
        # As it was asked, whatever the DAG says now.
        gates[question.task_id] = Gate(question.approvers, answered and is_present(question, alive))
    return {task_id: gate for task_id, gate in gates.items() if gate.approvers}


def _concerns(action: RequestedAction, task_id: str, gate: Gate, shape: Mapping[str, Place]) -> bool:
    if action.task_id == task_id and not action.group:
        return action.kind is not HumanAction.CLEARED
    if gate.passed or not action.forward:
        return False
    if not action.task_id or action.around or action.other_runs:
        return True
    meant = set(inside(action, shape))
    # What is not known may be anything.
    return not meant & shape.keys() or task_id in meant | _before(meant, shape)


def _before(tasks: Collection[str], shape: Mapping[str, Place]) -> set[str]:
    found: set[str] = set()
    left = list(tasks)
    while left:
        place = shape.get(left.pop())
        for name in place.upstream if place else ():
            if name not in found:
                found.add(name)
                left.append(name)
    return found

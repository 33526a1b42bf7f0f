"""Whether the runs that stand in another one's way still live, and who is about to ask, as Airflow knows it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
from airflow.sdk.exceptions import AirflowRuntimeError

if TYPE_CHECKING:
    from airflow_cd.delivery import Delivery
    from airflow_cd.ledger import InTheWay

_OVER = ("success", "failed")
_ABOUT_TO_ASK = ("scheduled", "queued", "running", "restarting", "up_for_retry")
_PENDING = (*_ABOUT_TO_ASK, "up_for_reschedule", "deferred")
_NOT_FOUND = 404
_MOST = 20  # runs that are looked up one by one


def dismiss_dead(delivery: Delivery, ti: Any) -> bool:
    """Take the environment, or its place in the queue, from runs that have ended without giving it up.

    :param delivery: the environment, in the hands of the run that waits.
    :param ti: its task instance, through which Airflow is asked.
    :returns: whether there was one, so that it is worth while to ask for the environment again.
    """
    leases, dismissed = delivery.ledger.leases, False
    for one in leases.in_the_way(
        delivery.service, delivery.environment, pipeline=delivery.pipeline, run_id=delivery.run_id
    ):
        alive = lives(ti, one)
        # Where Airflow cannot say it, time decides: a lease that lives is renewed.
        if alive is False or (alive is None and one.expired):
            place = "owned" if one.token is not None else "waited for"
            delivery.log(f"Run {one.run_id} of {one.pipeline} {place} this environment and is dead; going on.")
            leases.dismiss(one)
            dismissed = True
    return dismissed


def lives(ti: Any, one: InTheWay) -> bool | None:
    """Whether a run may still do something here.

    :param ti: the task instance that asks.
    :param one: the run.
    :returns: None when Airflow does not say it.
    """
    state = _asked(lambda: ti.get_dagrun_state(one.pipeline, one.run_id), missing="failed")
    if state is None:
        return None
    if state in _OVER:
        return False
    if one.token is not None or one.task_id is None:
        return True
    # One that waits does so only as long as its task does; in a paused DAG that is never started again.
    states = _asked(lambda: ti.get_task_states(one.pipeline, task_ids=[one.task_id], run_ids=[one.run_id]))
    dag = _asked(lambda: ti.get_dag(one.pipeline))
    task = (states or {}).get(one.run_id, {}).get(one.task_id)
    if task is not None and str(task) not in _PENDING:
        return False
    return not getattr(dag, "is_paused", False)


def earlier_is_about_to_ask(ti: Any, requested_at: datetime) -> bool:
    """Whether a run of the same pipeline that was requested earlier is on its way to the same task.

    :param ti: the task instance that asks.
    :param requested_at: when its own run was requested.
    """
    given = {"dag_id": ti.dag_id, "task_ids": [ti.task_id]}
    count = _asked(lambda: ti.get_ti_count(**given, states=list(_ABOUT_TO_ASK)))
    if count is None or count < 2:
        return False
    states = _asked(lambda: ti.get_task_states(**given)) or {}
    others = [
        run_id
        for run_id, tasks in states.items()
        if run_id != ti.run_id and str(tasks.get(ti.task_id)) in _ABOUT_TO_ASK
    ]
    requests = [_asked(lambda run_id=run_id: _requested_at(ti.dag_id, run_id)) for run_id in others[:_MOST]]  # type: ignore[misc]
    return any(other is not None and other < requested_at for other in requests)


def _requested_at(dag_id: str, run_id: str) -> datetime:
    from airflow.sdk.execution_time.comms import GetDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    found: Any = SUPERVISOR_COMMS.send(GetDagRun(dag_id=dag_id, run_id=run_id))
    when: datetime = found.run_after
    return when


def _asked(question: Callable[[], Any], *, missing: Any = None) -> Any:
    """The answer to a question; None when Airflow does not answer it, ``missing`` when it knows no such thing."""
    try:
        return question()
    except AirflowRuntimeError as error:
        detail = error.error.detail or {}
        return missing if detail.get("status_code") == _NOT_FOUND else None
    except httpx.HTTPStatusError as error:
        # Of `dag.test()`, which asks without a supervisor in between.
        return missing if error.response.status_code == _NOT_FOUND else None
    except (AttributeError, ImportError):
        # Outside Airflow there is nobody to ask.
        return None

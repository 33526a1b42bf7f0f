"""What tasks of a run hand to each other beside the ledger, so that a rollback does not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_cd.delivery.handover import Handover
from airflow_cd.errors import AirflowCdError, ReleaseError
from airflow_cd.operators.role import role_of
from airflow_cd.states import Role
from airflow_cd.verification.verdict import Judgement

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.operators.base import EnvironmentTask

CAPTURE = "airflow_cd_capture"
"""XCom of a deploy: what it is about to touch, and what to return to."""
PROMOTING = "airflow_cd_promoting"
"""XCom of whatever promotes, before it does: from then on only the ledger knows how the deployment ended."""
VERDICT = "airflow_cd_verdict"
"""XCom of a verification whose verdict the ledger could not record: the judgement, and its phase."""


def handing_over(task: EnvironmentTask, context: Context) -> Callable[[Handover], None]:
    """A function that hands over what a deploy is about to touch; one that fails costs nothing else.

    :param task: the deploy.
    :param context: of the task.
    """

    def hand_over(capture: Handover) -> None:
        _push(task, context, CAPTURE, capture.as_dict())

    return hand_over


def say_promoting(task: EnvironmentTask, context: Context) -> None:
    """Say that the release is about to be promoted.

    :param task: what promotes it.
    :param context: of the task.
    """
    _push(task, context, PROMOTING, value=True)


def hand_verdict(task: EnvironmentTask, context: Context, judgement: Judgement, phase: str) -> None:
    """Hand over a verdict that the ledger could not record.

    :param task: the verification.
    :param context: of the task.
    :param judgement: the verdict with its evidence.
    :param phase: name of the phase.
    """
    _push(task, context, VERDICT, {"phase": phase, "judgement": judgement.as_dict()})


def captured(task: EnvironmentTask, context: Context) -> Handover | None:
    """What the run's deploys here have touched, unless its release may have been promoted; None without that.

    :param task: a rollback or a settle.
    :param context: of the task.
    """
    if any(_pulled(task, context, PROMOTING, Role.PROMOTE, Role.DEPLOY)):
        return None
    found = []
    for content in _pulled(task, context, CAPTURE, Role.DEPLOY):
        try:
            found.append(Handover.from_dict(content))
        except ReleaseError as error:
            task.log.warning("%s", error)
    # Later phases hold what earlier ones have touched.
    return max(found, key=lambda one: (one.token, len(one.touched)), default=None)


def write_down_verdict(task: EnvironmentTask, context: Context, delivery: Delivery) -> None:
    """Record a verdict that was handed over because the ledger was away, now that it is back.

    :param task: a rollback or a settle.
    :param context: of the task.
    :param delivery: the environment.
    :raises LedgerUnavailable: it is away again.
    """
    deployment, lease = delivery.deployment(), delivery.held()
    for content in _pulled(task, context, VERDICT, Role.VERIFY) if deployment is not None else ():
        assert deployment is not None  # noqa: S101 - asked above
        if lease is None:
            # A person's run, or the guard, has the environment or has put it right: what is recorded is theirs to say.
            task.log.error("A verdict could not be recorded: the run owns the environment no more. %s", content)
            return
        judgement, phase = Judgement.from_dict(content["judgement"]), str(content["phase"])
        known = [one for one in delivery.ledger.verdicts.of(deployment.id, phase) if one.final]
        if any(one.evidence.get("decided") == judgement.decided for one in known):
            continue
        delivery.ledger.verdicts.record(
            deployment.id,
            phase,
            token=lease.token,
            verdict=str(judgement.verdict),
            evidence=judgement.as_dict(),
            final=True,
        )
        delivery.ledger.deployments.set_clock(
            deployment.id, verdict_at=_time(judgement.decided), first_bad_at=_time(judgement.first_bad)
        )


def _pulled(task: EnvironmentTask, context: Context, key: str, *roles: Role) -> Iterator[Any]:
    dag = task.get_dag()
    tasks = dag.task_dict.values() if dag is not None else ()
    for other in tasks:
        if role_of(other) in roles and getattr(other, "environment", None) == task.environment:
            value = context["ti"].xcom_pull(task_ids=other.task_id, key=key)
            if value is not None:
                yield value


def _push(task: EnvironmentTask, context: Context, key: str, value: Any) -> None:
    try:
        context["ti"].xcom_push(key=key, value=value)
    except AirflowCdError:
        raise
    except Exception as error:  # noqa: BLE001 - it is a second copy of what the ledger holds
        task.log.warning("%s could not be handed over beside the ledger: %s", key, error)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

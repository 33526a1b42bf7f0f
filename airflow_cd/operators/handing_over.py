"""What tasks of a run hand to each other beside the ledger, so that a rollback does not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_cd.delivery.handover import Handover
from airflow_cd.delivery.late_verdict import HANDED_VERDICT, HandedVerdict, write_down
from airflow_cd.errors import AirflowCdError, ReleaseError
from airflow_cd.operators.role import role_of
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.operators.base import EnvironmentTask

CAPTURE = "airflow_cd_capture"
"""XCom of a deploy: what it is about to touch, and what to return to."""
PROMOTING = "airflow_cd_promoting"
"""XCom of whatever promotes, before it does: from then on only the ledger knows how the deployment ended."""
TOKEN = "airflow_cd_token"  # noqa: S105 - a number
"""XCom of what has taken a newer fencing token than the deploy: the target refuses the deploy's from then on."""
REFUSED = "airflow_cd_refused"
"""XCom of a task that was to bring something to the environment: its error, for the one that says how the run ended."""
_TOKENS = (Role.VERIFY, Role.ROLLBACK, Role.SETTLE)
_BEGINNING = (Role.LEASE, Role.DEPLOY, Role.ROLLBACK_TO)


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


def hand_verdict(task: EnvironmentTask, context: Context, evidence: Mapping[str, Any], phase: str) -> None:
    """Hand over a verdict that the ledger could not record.

    :param task: the verification.
    :param context: of the task.
    :param evidence: the judgement, without secrets, as the ledger would keep it.
    :param phase: name of the phase.
    """
    _push(task, context, HANDED_VERDICT, HandedVerdict(phase, evidence, task.environment, task.task_id).as_dict())


def hand_token(task: EnvironmentTask, context: Context, token: int) -> None:
    """Hand over a fencing token before the target gets to know it.

    :param task: what has taken it.
    :param context: of the task.
    :param token: the newest.
    """
    _push(task, context, TOKEN, token)


@contextmanager
def handing_refusal(task: EnvironmentTask, context: Context) -> Iterator[None]:
    """Hand over why nothing is deployed by the task, where an error of ours in the body says it.

    :param task: one that acquires an environment or brings a release to it; nothing is handed over for another.
    :param context: of the task.
    """
    try:
        yield
    except AirflowCdError as error:
        if task.role in _BEGINNING:
            _push(task, context, REFUSED, {"what": error.what, "next": error.next_step or ""})
        raise


def refusal(task: EnvironmentTask, context: Context) -> tuple[str, str] | None:
    """Why a run has deployed nothing here, and what a person can do, ``""`` where nothing is known of it.

    :param task: a settle.
    :param context: of the task.
    :returns: of the first task that has handed it over; None without one.
    """
    for content in _pulled(task, context, REFUSED, *_BEGINNING):
        if isinstance(content, dict) and content.get("what"):
            return str(content["what"]), str(content.get("next") or "")
    return None


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
    newest = max(found, key=lambda one: (one.token, len(one.touched)), default=None)
    tokens = [one for one in _pulled(task, context, TOKEN, *_TOKENS) if isinstance(one, int)]
    return replace(newest, token=max(newest.token, *tokens)) if newest is not None and tokens else newest


def write_down_verdict(task: EnvironmentTask, context: Context, delivery: Delivery) -> None:
    """Record a verdict that was handed over because the ledger was away, now that it is back.

    :param task: a rollback or a settle.
    :param context: of the task.
    :param delivery: the environment.
    :raises LedgerUnavailable: it is away again.
    """
    handed = []
    for content in _pulled(task, context, HANDED_VERDICT, Role.VERIFY):
        try:
            handed.append(HandedVerdict.from_dict(content))
        except (KeyError, TypeError, ValueError, AirflowCdError) as error:
            task.log.error("A verdict that was handed over cannot be read: %s. %s", error, str(content)[:1000])
    if handed:
        write_down(delivery, handed)


def _pulled(task: EnvironmentTask, context: Context, key: str, *roles: Role) -> Iterator[Any]:
    dag = task.get_dag()
    if dag is None:
        return
    # Rendered is the task that runs alone: the others may name the same environment by a template.
    written = getattr(dag.task_dict.get(task.task_id), "environment", None)
    for other in dag.task_dict.values():
        if role_of(other) in roles and getattr(other, "environment", None) in (task.environment, written):
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

"""What really runs in an environment at the end of a run, whatever the ledger says: the target is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cd.errors import DeploymentFailed, TargetError
from airflow_cd.states import DeploymentState
from airflow_cd.targets.rollout import read_back

if TYPE_CHECKING:
    from airflow_cd.delivery.delivery import Delivery
    from airflow_cd.ledger import Deployment


def what_runs(delivery: Delivery) -> str:
    """What runs there now, as the target says it: a sentence without its full stop, for a person.

    :param delivery: the environment.
    """
    try:
        instances = delivery.target.instances()
    except TargetError as error:
        return f"what runs is unknown: {error.what.rstrip('.')}"
    found: dict[str, list[str]] = {}
    for one in instances:
        what = "nothing" if one.artifact is None else f"{delivery.service} {one.version or one.artifact}"
        found.setdefault(what, []).append(one.name)
    if len(found) == 1:
        (what,) = found
        if what == "nothing":
            return "nothing runs, read back"
        return f"{what} runs on {'every instance' if len(instances) > 1 else instances[0].name}, read back"
    return "; ".join(f"{what} runs on {', '.join(names)}" for what, names in sorted(found.items())) or "it is empty"


def replaced(delivery: Delivery, deployment: Deployment) -> bool:
    """Whether another release was promoted where a run had promoted its own.

    :param delivery: the environment.
    :param deployment: of this run.
    """
    last = delivery.ledger.deployments.last_promoted(deployment.service, deployment.environment)
    return last is not None and last.release != deployment.release


def stayed(delivery: Delivery, deployment: Deployment, *, cleared: bool) -> DeploymentFailed | None:
    """Whether the release that a run has promoted is still what the environment runs.

    A run that is cleared after a newer one has deployed must not end as if its own release ran. One that is only late,
    because a process of it died after it had given the environment up, has done what it was asked for.

    :param delivery: the environment.
    :param deployment: of this run.
    :param cleared: whether a person has had tasks of the run done again.
    :returns: what is wrong; None when it runs, was not promoted, or when the target does not say now what runs.
    """
    if deployment.state != DeploymentState.PROMOTED:
        return None
    ledger, place = delivery.ledger, (deployment.service, deployment.environment)
    last = ledger.deployments.last_promoted(*place)
    if last is not None and last.release != deployment.release:
        if not cleared:
            return None
        return _not_running(delivery, deployment, f"run {last.run_id} of {last.pipeline} has deployed {last.release}")
    if [one for one in ledger.deployments.unsettled(*place) if one.id != deployment.id]:
        return None
    try:
        present = {instance.unit for instance in delivery.target.instances()}
        wrong = read_back(delivery.target, dict.fromkeys(present, deployment.release))
    except TargetError as error:
        delivery.log(f"Whether {deployment.release} still runs is unknown: {error.what}")
        return None
    return _not_running(delivery, deployment, "; ".join(wrong)) if wrong else None


def _not_running(delivery: Delivery, deployment: Deployment, since: str) -> DeploymentFailed:
    when = f" at {deployment.settled_at:%Y-%m-%d %H:%M} UTC" if deployment.settled_at else ""
    return DeploymentFailed(
        f"{deployment.release}, which this run promoted{when}, does not run here any more: {since}.",
        release=str(deployment.release),
        state=f"nothing was changed by this task; {what_runs(delivery)}.",
        next_step="To deploy this release again, start a new run.",
    )

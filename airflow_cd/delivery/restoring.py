"""Bringing an environment back to what ran before a deployment: drained first, checked last, recorded throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_cd.clock import now
from airflow_cd.delivery.causes import NOT_RESTORED, Why
from airflow_cd.delivery.recorded_target import RecordedTarget
from airflow_cd.errors import (
    AirflowCdError,
    LeaseLost,
    LedgerUnavailable,
    RollbackIncomplete,
    TargetRejected,
    Unavailable,
)
from airflow_cd.states import ActionKind
from airflow_cd.targets.rollout import differences, left_over

if TYPE_CHECKING:
    from airflow_cd.ledger import Deployment, Lease
    from airflow_cd.release import Release
    from airflow_cd.targets.rollout import Wanted


@dataclass(frozen=True)
class Restored:
    """What a rollback did.

    :param release: what the environment runs again; None when it was empty before.
    :param instances: names of the instances that were restored.
    :param seconds: from verdict to restored and checked.
    """

    release: Release | None
    instances: tuple[str, ...]
    seconds: float


def restore(
    changes: RecordedTarget, deployment: Deployment, lease: Lease, touched: Sequence[str], why: Why
) -> Restored:
    """Return every instance that a deployment has touched to the release it ran before.

    :param changes: the environment.
    :param deployment: what is rolled back.
    :param lease: under which this is done.
    :param touched: names of the instances that it may have changed.
    :param why: becomes the deployment's outcome; its cause decides whether the release is vetoed.
    :raises DeploymentSettled: the release was promoted.
    :raises LeaseLost: somebody holds a newer token.
    :raises RollbackIncomplete: an instance is not back on its release; trying again resumes it.
    """
    ledger, token = changes.ledger, lease.token
    ledger.settlement.begin_rollback(deployment.id, token=token, outcome=why.text, cause=why.cause)
    ledger.deployments.set_clock(deployment.id, verdict_at=now())
    steps = changes.division.back(deployment.previous, touched)
    wrong, away, step = _bring_back(changes, deployment, lease, steps, touched)
    if wrong:
        state = changes.describe()
        # Refused when the lease is lost, however the target put it: then the rollback is another run's.
        ledger.settlement.finish_rollback(
            deployment.id, token=token, restored=False, outcome=f"{why.text}{NOT_RESTORED}{'; '.join(wrong)}"
        )
        raise RollbackIncomplete(
            f"the rollback from {deployment.release} could not finish: {'; '.join(wrong)}.",
            release=str(deployment.release),
            instances=touched,
            state=state,
            next_step=f"{f'{step} Then' if step else 'Fix the problems listed, then'} clear this task; it resumes "
            "where it stopped.",
            away=away,
        )
    ledger.deployments.set_clock(deployment.id, safe_at=now(), restored_at=now())
    ledger.settlement.finish_rollback(deployment.id, token=token, restored=True, outcome=why.text)
    done = ledger.deployments.get(deployment.id)
    release = next((old for wanted in steps for old in wanted.values() if old is not None), None)
    if release is None and changes.division.carried(deployment.previous, touched):
        release = next((old for old in deployment.previous.values() if old is not None), None)
    seconds = done.to_restored or 0.0
    changes.log(f"Restored {release or 'an empty environment'} on {', '.join(touched) or 'nothing'}: {seconds:.1f} s.")
    return Restored(release, tuple(touched), seconds)


def _bring_back(
    changes: RecordedTarget, deployment: Deployment, lease: Lease, steps: Sequence[Wanted], touched: Sequence[str]
) -> tuple[list[str], bool, str]:
    """Drain, restore, give the traffic back.

    :returns: what is wrong afterwards, one sentence each, whether waiting helps, and what a person has to do first.
    """
    recovering = changes.division.recovering(deployment.previous, touched)
    try:
        if touched:
            if changes.division.carried(deployment.previous, touched):
                changes.drain(deployment, lease, touched)
            changes.put(deployment, lease, steps, kind=ActionKind.ROLLBACK)
            if recovering:
                changes.await_healthy(recovering)
                # None of them is drained by its track any more, and whoever divides requests is still to be told.
                changes.restore_traffic(deployment, lease, touched)
            else:
                changes.undrain(deployment, lease, touched)
        wanted = {unit: old for one in (recovering, *steps) for unit, old in one.items()}
        instances = changes.target.instances()
        # Whoever else has changed the environment may have kept the release in it, out of the sight of the division.
        left = left_over(instances, deployment.release, deployment.previous.values(), wanted)
        return [*differences(instances, wanted), *left], False, ""
    except (LeaseLost, LedgerUnavailable):
        # What the target has, or has not, is not known to be wrong: the next attempt finds out.
        raise
    except AirflowCdError as error:
        step = error.next_step if isinstance(error, TargetRejected) else None
        return [error.what], isinstance(error, Unavailable), step or ""

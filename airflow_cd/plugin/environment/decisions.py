"""How an environment stands and what it can be rolled back to: decided from a few facts, without a ledger."""

from __future__ import annotations

from airflow_cd.plugin.states import EnvironmentState, Look
from airflow_cd.states import DeploymentState

_ROLLBACKS = {
    DeploymentState.ROLLING_BACK: EnvironmentState.ROLLING_BACK,
    DeploymentState.ROLLBACK_FAILED: EnvironmentState.ROLLBACK_FAILED,
}


def environment_state(
    deployment: DeploymentState | None,
    *,
    rollback: bool = False,
    left: bool = False,
    promoted: bool = False,
    replaced: bool = False,
) -> EnvironmentState:
    """How the environment stands.

    :param deployment: state of the deployment that has not been settled, None without one.
    :param rollback: whether that is a person's rollback.
    :param left: whether the run of that deployment has ended, so that nothing continues it.
    :param promoted: whether a release has been promoted here.
    :param replaced: whether somebody else runs something else than was promoted.
    """
    if deployment is None and replaced:
        return EnvironmentState.REPLACED
    if deployment is None:
        return EnvironmentState.RUNNING if promoted else EnvironmentState.NOTHING_PROMOTED
    if deployment is DeploymentState.RUNNING:
        if left:
            return EnvironmentState.LEFT_UNFINISHED
        return EnvironmentState.RESTORING if rollback else EnvironmentState.DEPLOYING
    # Of a rollback whose run has ended nothing will come any more.
    return EnvironmentState.ROLLBACK_FAILED if left else _ROLLBACKS[deployment]


def look_of(state: EnvironmentState, *, problems: bool) -> Look:
    """How the environment is drawn.

    :param state: how it stands.
    :param problems: whether some of its instances are not as they should be.
    """
    if state is EnvironmentState.NOTHING_PROMOTED:
        return Look.IDLE
    if state in (EnvironmentState.DEPLOYING, EnvironmentState.RESTORING):
        return Look.WAIT
    return Look.GOOD if state is EnvironmentState.RUNNING and not problems else Look.BAD

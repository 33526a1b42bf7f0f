"""Markers of a deployment, or of its rollback, where metrics are watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_cd.clock import now
from airflow_cd.errors import AirflowCdError
from airflow_cd.states import ActionKind

if TYPE_CHECKING:
    from airflow_cd.delivery.owned_environment import OwnedEnvironment
    from airflow_cd.ledger import Deployment, Lease


def mark(
    delivery: OwnedEnvironment,
    conn_ids: Sequence[str],
    application: str,
    *,
    phase: str,
    rolled_back: str = "",
    deployment: Deployment | None = None,
    lease: Lease | None = None,
) -> dict[str, Any]:
    """Set one marker for each connection and record it; one that is set already stays.

    A rollback has one marker in each connection, whoever restores: the run itself, the guard, or a later run.

    :param delivery: the environment.
    :param conn_ids: ids of New Relic connections.
    :param application: New Relic's name of the application.
    :param phase: name of the phase, ``""`` for the whole deployment.
    :param rolled_back: why the deployment was rolled back; ``""`` when it is the deployment that is marked.
    :param deployment: what is marked; by default the run's own.
    :param lease: under which this is done; by default the run's.
    :returns: by connection, the marker's id, or why there is none.
    """
    from airflow_cd.hooks.new_relic import NewRelicHook

    if not conn_ids:
        return {}
    deployment = deployment or delivery.require_deployment()
    token = (lease or delivery.lease()).token
    release, before = deployment.release, next(iter(deployment.previous.values()), None)
    # A person's rollback deploys what it restores; any other restores what was there before it deployed.
    restored, left = (release, before) if deployment.rolls_back is not None else (before, release)
    version = (restored.version if restored else "nothing") if rolled_back else release.version
    found = next((one for one in delivery.ledger.phases.of(deployment.id) if one.name == phase), None)
    share = found.share if found is not None else 100
    part = f"{share} %" + (f" with {found.traffic} % of the requests" if found and found.traffic is not None else "")
    done: dict[str, Any] = {}
    for conn_id in conn_ids:
        key = f"{deployment.id}-mark-{conn_id}-{'rollback' if rolled_back else phase}"
        detail = {"connection": conn_id, "application": application, "version": version}
        known = delivery.ledger.actions.begin(deployment.id, ActionKind.MARK, key, token=token, detail=detail)
        if known.ok:
            done[conn_id] = known.detail.get("marker", "set before")
            continue
        try:
            marker = NewRelicHook(conn_id).mark_deployment(
                application=application,
                version=version,
                deployment_type="Other" if rolled_back else "Canary",
                description=f"Rolled back from {left.version if left else 'nothing'}: {rolled_back}"[:2000]
                if rolled_back
                else f"{release.version} on {part} of {deployment.environment}",
                user=deployment.triggered_by or "airflow-cd",
                group_id=deployment.id,
                attributes={"phase": phase, "share": share, "digest": release.digest, "run": deployment.run_id},
                timestamp=now(),
            )
        except AirflowCdError as error:
            delivery.log(f"NOT MARKED in {conn_id}: {error}")
            delivery.ledger.actions.finish(key, ok=False, detail={**detail, "error": str(error)})
            done[conn_id] = f"not marked: {error}"
        else:
            delivery.log(f"Marked {version} in {conn_id}: {marker}")
            delivery.ledger.actions.finish(key, ok=True, detail={**detail, "marker": marker})
            done[conn_id] = marker
    return done


def mark_rollback(delivery: OwnedEnvironment, deployment: Deployment, lease: Lease, why: str) -> None:
    """Mark the rollback of any run's deployment wherever its pipeline has, or would have, marked the deployment.

    Nothing here fails a rollback.

    :param delivery: the environment, in the hands of whoever has restored it.
    :param deployment: what was rolled back.
    :param lease: under which that was done.
    :param why: the reason.
    """
    try:
        for application, conn_ids in _marked_in(delivery, deployment).items():
            phases = delivery.ledger.phases.of(deployment.id)
            last = phases[-1].name if phases else ""
            mark(delivery, conn_ids, application, phase=last, rolled_back=why, deployment=deployment, lease=lease)
    except Exception as error:  # noqa: BLE001 - production is restored, whether a chart has a line or not
        delivery.log(f"The rollback is not marked: {type(error).__name__} {error}")


def _marked_in(delivery: OwnedEnvironment, deployment: Deployment) -> dict[str, list[str]]:
    """By application, the connections in which a deployment is marked: as its plan says, and as was done."""
    found: dict[str, str] = {}
    plan = delivery.ledger.runs.plan_of(deployment.pipeline, deployment.run_id) or {}
    step = plan.get(deployment.environment)
    for conn_id in (step.get("mark") or ()) if isinstance(step, dict) else ():
        found[str(conn_id)] = deployment.service
    for action in delivery.ledger.actions.of(deployment.id):
        if action.kind == ActionKind.MARK and action.detail.get("connection"):
            application = str(action.detail.get("application") or deployment.service)
            found[str(action.detail["connection"])] = application
    by_application: dict[str, list[str]] = {}
    for conn_id, application in found.items():
        by_application.setdefault(application, []).append(conn_id)
    return by_application

"""Mark a deployment, or its rollback, where metrics are watched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.delivery.delivery import now
from airflow_cd.errors import AirflowCdError
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery


class DeploymentMarkerOperator(EnvironmentTask):
    """Set a deployment marker in New Relic.

    A marker that cannot be set is said loudly, in the log, the rendered fields, the ledger and the report, and
    holds nothing up: production is not rolled back because a chart lacks a line.

    :param conn_ids: New Relic connections, one marker each.
    :param application: New Relic's name of the application; the service by default.
    :param phase: name of the phase that is marked.
    """

    template_fields: Sequence[str] = (*EnvironmentTask.template_fields, "application")
    role = Role.MARK
    ui_color = "#e6dcff"

    def __init__(
        self,
        *,
        conn_ids: Sequence[str] = ("new_relic_default",),
        application: str = "",
        phase: str = "",
        **kwargs: Any,
    ) -> None:
        # A marker is set once however often it is tried, and a worker that dies here is no reason to roll back.
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)
        self.conn_ids = tuple(conn_ids)
        self.application = application
        self.phase = phase

    def execute(self, context: Context) -> dict[str, Any]:
        """Mark; returns marker ids, and errors in words, by connection."""
        delivery = self.delivery(context)
        self.result = mark(delivery, self.conn_ids, self.application or self.service, phase=self.phase)
        return self.result


def mark(
    delivery: Delivery, conn_ids: Sequence[str], application: str, *, phase: str, rolled_back: str = ""
) -> dict[str, Any]:
    """Set one marker for each connection and record it.

    :param rolled_back: why the deployment was rolled back; empty when it is the deployment that is marked.
    """
    from airflow_cd.hooks.new_relic import NewRelicHook

    deployment = delivery.require_deployment()
    token = delivery.lease().token
    release, before = deployment.release, next(iter(deployment.previous.values()), None)
    # A person's rollback deploys what it restores; any other restores what was there before it deployed.
    restored, left = (release, before) if deployment.rolls_back is not None else (before, release)
    version = (restored.version if restored else "nothing") if rolled_back else release.version
    record = delivery.phase(phase)
    share = record.share if record else 100
    done: dict[str, Any] = {}
    for conn_id in conn_ids:
        key = f"{deployment.id}-mark-{conn_id}-{phase}{'-rollback' if rolled_back else ''}"
        detail = {"connection": conn_id, "version": version}
        known = delivery.ledger.actions.begin(deployment.id, "mark", key, token=token, detail=detail)
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
                else f"{release.version} on {share} % of {deployment.environment}",
                user=deployment.triggered_by or "airflow-cd",
                group_id=deployment.id,
                attributes={"phase": phase, "share": share, "digest": release.digest, "run": deployment.run_id},
                timestamp=now(),
            )
        except AirflowCdError as error:
            delivery.say(f"NOT MARKED in {conn_id}: {error}")
            delivery.ledger.actions.finish(key, ok=False, detail={**detail, "error": str(error)})
            done[conn_id] = f"not marked: {error}"
        else:
            delivery.say(f"Marked {version} in {conn_id}: {marker}")
            delivery.ledger.actions.finish(key, ok=True, detail={**detail, "marker": marker})
            done[conn_id] = marker
    return done

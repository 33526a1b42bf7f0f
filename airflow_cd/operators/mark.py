"""Mark a deployment, or its rollback, where metrics are watched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.delivery import now
from airflow_cd.errors import AirflowCdError
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.states import ActionKind, Role

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery


class DeploymentMarkerOperator(EnvironmentTask):
    """Set a deployment marker in New Relic.

    A marker that cannot be set is reported in the log, the rendered fields, the ledger and the verification report,
    and fails nothing: production is not rolled back because a chart lacks a line. Parameters of
    :class:`~airflow_cd.operators.base.EnvironmentTask` come on top.

    :param conn_ids: ids of New Relic connections; each gets a marker.
    :param application: New Relic's name of the application; the service by default. Templated.
    :param phase: name of the phase that is marked; ``""`` for the whole deployment.
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
        """Mark.

        :param context: of the task.
        :returns: by connection, the marker's id, or why there is none.
        :raises AirflowFailException: nothing was deployed, or another run owns the environment by now.
        :raises LedgerUnavailable: the ledger is away.
        """
        with self.at_work(context) as delivery:
            self.result = result = mark(delivery, self.conn_ids, self.application or self.service, phase=self.phase)
        return result


def mark(
    delivery: Delivery, conn_ids: Sequence[str], application: str, *, phase: str, rolled_back: str = ""
) -> dict[str, Any]:
    """Set one marker for each connection and record it; one that is set already stays.

    :param delivery: the environment.
    :param conn_ids: ids of New Relic connections.
    :param application: New Relic's name of the application.
    :param phase: name of the phase, ``""`` for the whole deployment.
    :param rolled_back: why the deployment was rolled back; ``""`` when it is the deployment that is marked.
    :returns: by connection, the marker's id, or why there is none.
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
                else f"{release.version} on {share} % of {deployment.environment}",
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

"""Mark a deployment, or its rollback, where metrics are watched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.delivery.marking import mark
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context


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

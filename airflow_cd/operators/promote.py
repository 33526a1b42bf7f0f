"""Make the verified release the environment's good one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.delivery.outlasting import outlast
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.operators.handing_over import say_promoting
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context


FIRST = "the first release here: nothing to compare with; it runs healthy and is the baseline from now on"


class PromoteOperator(EnvironmentTask):
    """Check that every instance runs the release, and record it as the one to return to and to learn from.

    Has three retries by default: a verified release must not be rolled back because the target or the ledger was
    away for a moment. Takes the parameters of :class:`~airflow_cd.operators.base.EnvironmentTask`.
    """

    role = Role.PROMOTE
    binding = False
    ui_color = "#c8f0d0"

    def __init__(self, **kwargs: Any) -> None:
        # What it does may be done twice, and a verified release must not go back because a worker died here.
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Promote.

        :param context: of the task.
        :returns: the release and its instances.
        :raises AirflowFailException: the deployment was rolled back, or instances do not run the release.
        :raises TargetUnavailable: the target is away. A ledger that is away is waited for.
        """
        return outlast(lambda: self._attempt(context), log=self.log.warning)

    def _attempt(self, context: Context) -> dict[str, Any]:
        say_promoting(self, context)
        with self.at_work(context) as delivery:
            first = delivery.require_deployment().first
            deployment = delivery.promote(FIRST if first else "verified in every phase")
            self.result = result = {"promoted": str(deployment.release), "instances": sorted(deployment.previous)}
        return result

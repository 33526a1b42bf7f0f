"""Make the verified release the environment's good one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.errors import AirflowCdError
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context


class PromoteOperator(EnvironmentTask):
    """Read back that every instance runs the release, and record it as the one to return to and to learn from."""

    role = Role.PROMOTE
    ui_color = "#c8f0d0"

    def __init__(self, **kwargs: Any) -> None:
        # What it does may be done twice, and a verified release must not go back because a worker died here.
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Promote; refuses when the deployment was rolled back, or instances differ from the release."""
        try:
            deployment = self.delivery(context).promote("verified in every phase")
        except AirflowCdError as error:
            self.result = {"failed": str(error)}
            raise AirflowFailException(str(error)) from error
        self.result = {"promoted": str(deployment.release), "instances": sorted(deployment.previous)}
        return self.result

"""The link from a verification's task to its report."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import attrs
from airflow.sdk import BaseOperatorLink, conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


@attrs.define()
class VerificationReportLink(BaseOperatorLink):
    """Extra link on a verify task: its report so far."""

    name = "Verification report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Address of the report page, below the address of Airflow itself.

        :param operator: the verify task's operator.
        :param ti_key: which run's task.
        """
        base = conf.get("api", "base_url", fallback="/").rstrip("/")
        parts = "/".join(quote(part, safe="") for part in (ti_key.dag_id, ti_key.run_id, ti_key.task_id))
        return f"{base}/airflow-cd/report/{parts}"

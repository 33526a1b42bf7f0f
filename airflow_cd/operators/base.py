"""What every task that touches an environment has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_cd.delivery import Delivery
from airflow_cd.durations import parse_duration
from airflow_cd.errors import PipelineError
from airflow_cd.operators.role import RoleMixin
from airflow_cd.targets import resolve_target

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.targets.base import Target


class EnvironmentTask(RoleMixin, BaseOperator):
    """A task on one environment of one service; the base of our operators and sensors.

    :param service: what is deployed.
    :param environment: where.
    :param target: how it is reached: a connection id whose first part is the kind, or a target object. Where the
        environment is known only when the task runs: one of these for each environment.
    :param timeout_healthy: how long instances may take to come up.
    """

    template_fields: Sequence[str] = ("service", "environment", "result")
    template_fields_renderers = {"result": "json"}  # noqa: RUF012 - Airflow's own signature
    overwrite_rtif_after_execution = True
    ui_fgcolor = "#1a1a1a"

    def __init__(
        self,
        *,
        service: str,
        environment: str,
        target: str | Target | Mapping[str, str | Target],
        timeout_healthy: str | timedelta = "5m",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.environment = environment
        self.target = target
        self.timeout_healthy = timeout_healthy
        # Filled while the task runs, so that the UI's rendered fields say what became of it.
        self.result: dict[str, Any] | str = ""

    def delivery(self, context: Context) -> Delivery:
        """The environment, in the hands of this run."""
        # Every task start parses the DAG file, and with it this module: the database layer is not needed for that.
        from airflow_cd.ledger import open_ledger

        run = context["dag_run"]
        return Delivery(
            open_ledger(),
            resolve_target(self._target(), self.environment),
            pipeline=run.dag_id,
            run_id=run.run_id,
            service=self.service,
            environment=self.environment,
            requested_at=run.run_after,
            say=lambda line: self.log.info("%s", line),
            timeout=parse_duration(self.timeout_healthy),
        )

    def _target(self) -> str | Target:
        if not isinstance(self.target, Mapping):
            return self.target
        if self.environment not in self.target:
            known = ", ".join(self.target)
            raise PipelineError([f"environment {self.environment!r} has no target here; those that have: {known}"])
        return self.target[self.environment]


def life(context: Context) -> int:
    """Which attempt of the task's present life this is, from 1: clearing a task starts a new life."""
    ti = context["ti"]
    return ti.try_number - max(0, ti.max_tries - (ti.task.retries or 0))

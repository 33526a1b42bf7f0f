"""What every task that touches an environment has in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_cd.capacity import USUAL
from airflow_cd.delivery import Delivery
from airflow_cd.delivery.heartbeat import at_work
from airflow_cd.durations import parse_duration
from airflow_cd.errors import PipelineError, PlanChanged
from airflow_cd.operators.failure import failing_as_airflow_expects
from airflow_cd.operators.handing_over import handing_refusal
from airflow_cd.operators.role import RoleMixin
from airflow_cd.operators.runs import begin_run, keep_reason
from airflow_cd.operators.same_ledger import same_ledger
from airflow_cd.states import Role
from airflow_cd.targets import describe_target, resolve_target

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.plan import Plan
    from airflow_cd.targets.base import Target


class EnvironmentTask(RoleMixin, BaseOperator):
    """A task on one environment of one service; the base of our operators and sensors.

    A subclass does its work inside :meth:`at_work`, which decides what an error means to Airflow.

    :param service: name of what is deployed; templated.
    :param environment: name of the environment; templated.
    :param target: how the environment is reached: a connection id whose first part is the kind (``http_production``),
        or a target object. Where the environment is known only when the task runs, a mapping with one of these for
        each environment.
    :param timeout_healthy: how long instances may take to come up healthy, such as ``"5m"`` or a timedelta; must be
        greater than zero.
    :param plan: what the pipeline does; a run that began with another plan is refused. None: it is bound to none.
    """

    binding: ClassVar[bool] = True
    """Whether it takes the run further, and so only by the plan that the run began with."""

    template_fields: Sequence[str] = ("service", "environment", "result")
    template_fields_renderers = {"result": "json"}  # noqa: RUF012 - Airflow's own signature
    overwrite_rtif_after_execution = True
    ui_fgcolor = "#1a1a1a"
    lives_long: ClassVar[bool] = True
    """Whether it says in the ledger that it lives while it works, so that the guard finishes what it leaves."""

    def __init__(
        self,
        *,
        service: str,
        environment: str,
        target: str | Target | Mapping[str, str | Target],
        timeout_healthy: str | timedelta = "5m",
        plan: Plan | None = None,
        **kwargs: Any,
    ) -> None:
        for name, value in USUAL.items():
            kwargs.setdefault(name, value)
        super().__init__(**kwargs)
        self.service = service
        self.environment = environment
        self.target = target
        self.timeout_healthy = timeout_healthy
        self.plan = plan
        # Filled while the task runs, so that the UI's rendered fields say what became of it.
        self.result: dict[str, Any] | str = ""

    @contextmanager
    def at_work(self, context: Context) -> Iterator[Delivery]:
        """The environment as this run delivers to it; an error inside fails the task as Airflow expects it.

        :param context: of the task.
        :raises AirflowFailException: what was refused, now or later: no retry.
        :raises AirflowCdError: what is unavailable (the ledger, the target) or could not be finished yet: retried, if
            the task has retries.
        """
        pipeline = context["dag_run"].dag_id
        with (
            failing_as_airflow_expects(self, pipeline=pipeline, service=self.service, environment=self.environment),
            handing_refusal(self, context),
        ):
            delivery = self.delivery(context)
            if not self.lives_long:
                yield delivery
                return
            with at_work(
                delivery,
                task_id=self.task_id,
                target=describe_target(self._target(), self.environment),
                timeout=parse_duration(self.timeout_healthy),
                limit=self.time_limit(),
            ):
                yield delivery

    def time_limit(self) -> timedelta | None:
        """How long one attempt may take before the guard takes over from it; None for as long as its process lives."""
        return self.execution_timeout

    def delivery(self, context: Context) -> Delivery:
        """The environment as this run delivers to it.

        :param context: of the task.
        :raises PipelineError: the environment has no target, or one that cannot be resolved.
        :raises PlanChanged: the pipeline is not the one that the run began with.
        :raises UnknownParameter: the run was asked for something that its pipeline does not know.
        :raises LedgerUnavailable: the ledger is away, not migrated yet, or not the one that the run began with.
        """
        # Every task start parses the DAG file, and with it this module: the database layer is not needed for that.
        from airflow_cd.ledger import open_ledger

        run, ledger = context["dag_run"], open_ledger()
        same_ledger(ledger, context, first=self.role is Role.LEASE)
        try:
            begun = begin_run(ledger, context, self, self.plan if self.binding else None)
        except PlanChanged as changed:
            keep_reason(ledger, context, changed, service=self.service, environment=self.environment)
            raise
        return Delivery(
            ledger,
            self._resolved_target(),
            pipeline=run.dag_id,
            run_id=begun.run_id,
            service=self.service,
            environment=self.environment,
            requested_at=run.run_after,
            log=lambda line: self.log.info("%s", line),
            timeout=parse_duration(self.timeout_healthy),
            task_id=self.task_id,
        )

    def place(self, context: Context) -> dict[str, str]:
        """Where it is at work, for a person who is told of it.

        :param context: of the task.
        """
        run = context["dag_run"]
        return {
            "service": self.service,
            "environment": self.environment,
            "pipeline": run.dag_id,
            "run": run.run_id,
        }

    def _resolved_target(self) -> Target:
        try:
            return resolve_target(self._target(), self.environment)
        except ValueError as error:
            raise PipelineError([str(error)]) from error

    def _target(self) -> str | Target:
        if not isinstance(self.target, Mapping):
            return self.target
        if self.environment not in self.target:
            known = ", ".join(self.target)
            raise PipelineError([f"environment {self.environment!r} has no target here; those that have: {known}"])
        return self.target[self.environment]

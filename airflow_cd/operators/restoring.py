"""What the two tasks that restore an environment have in common: they do not wait for the ledger to make it whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_cd.delivery.handover import Handover, Unrecorded, restore_unrecorded
from airflow_cd.durations import parse_duration
from airflow_cd.errors import AirflowCdError, PipelineError, TargetConflict
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.operators.handing_over import captured, hand_token
from airflow_cd.targets.base import in_place

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery


class RestoringTask(EnvironmentTask):
    """A task that restores an environment, and tells the ledger later if that is away."""

    _done: Unrecorded | None = None
    _handed: Handover | None = None
    _token: int | None = None

    @contextmanager
    def at_work(self, context: Context) -> Iterator[Delivery]:
        """As every task; a token that was taken here counts when the ledger goes away afterwards.

        :param context: of the task.
        """
        with super().at_work(context) as delivery:
            try:
                yield delivery
            finally:
                self._token = delivery.newest_token or self._token

    def time_limit(self) -> timedelta | None:
        """One attempt is bounded as a deployment is, though there are as many of them as it takes.

        Of replicas that are changed in place each may take so long.
        """
        if self.execution_timeout or in_place(self._resolved_target()):
            return self.execution_timeout
        return parse_duration(self.timeout_healthy) * 3

    def restore_meanwhile(self, context: Context) -> None:
        """Restore what the run's deploys have handed over, once; what fails is tried again with the next attempt.

        :param context: of the task.
        """
        if self._done is not None:
            return
        self._handed = self._handed or captured(self, context)
        if self._handed is None:
            self.log.warning("Without the ledger nothing says that this run has left anything to restore.")
            return
        if self._token is not None and self._token > self._handed.token:
            self._handed = replace(self._handed, token=self._token)
            # For whoever goes on when this process dies, too.
            hand_token(self, context, self._token)
        try:
            self._done = restore_unrecorded(
                self._resolved_target(),
                self._handed,
                environment=self.environment,
                timeout=parse_duration(self.timeout_healthy),
                log=self.log.warning,
            )
        except TargetConflict as overruled:
            self.log.warning("Not restoring without the ledger: %s", overruled.what)
        except (AirflowCdError, PipelineError) as error:
            self.log.error("Not restored yet: %s", error)

    def write_down_restore(self, delivery: Delivery) -> None:
        """Record when the environment was safe and whole, if that was while the ledger was away.

        :param delivery: the environment.
        :raises LedgerUnavailable: it is away again.
        """
        if self._done is None or self._handed is None:
            return
        deployment = delivery.deployment()
        if deployment is None or self._handed.deployment_id != deployment.id:
            return
        delivery.ledger.deployments.set_clock(
            deployment.id,
            verdict_at=self._done.began_at,
            safe_at=self._done.safe_at,
            restored_at=self._done.restored_at,
        )
        self.log.warning(
            "Restored without the ledger at %s; it is written down now.", self._done.restored_at.strftime("%H:%M:%S")
        )

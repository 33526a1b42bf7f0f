"""Wait until this run owns an environment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from airflow_cd.errors import LeaseHeld
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context


class LeaseSensor(EnvironmentTask, BaseSensorOperator):
    """Wait until this run owns the environment, in the order in which runs asked; the setup of all its tasks there.

    Restores what a run that died left unfinished. Holds no worker while it waits (mode ``reschedule``, every 5
    seconds); has three retries by default. Parameters of :class:`~airflow_cd.operators.base.EnvironmentTask` and of
    Airflow's sensors come on top.

    :param supersede: older runs that still wait for the environment fail in favour of this one.
    :param restore: whether what a dead run left unfinished is restored first; pass False before a rollback that
        replaces it.
    """

    role = Role.LEASE
    lives_long = False
    ui_color = "#eeeeee"

    def __init__(self, *, supersede: bool = False, restore: bool = True, **kwargs: Any) -> None:
        kwargs.setdefault("mode", "reschedule")
        kwargs.setdefault("poke_interval", 5)
        # Asking again changes nothing, so a worker that dies here is no reason to give up the run.
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)
        self.supersede = supersede
        self.restore = restore

    def poke(self, context: Context) -> bool:
        """Whether this run owns the environment now.

        :param context: of the task.
        :raises AirflowFailException: a newer run has superseded this one.
        :raises RollbackIncomplete: what a dead run left unfinished could not be restored yet.
        :raises Unavailable: the ledger or the target is away.
        """
        with self.at_work(context) as delivery:
            try:
                lease = delivery.acquire(supersede=self.supersede, restore=self.restore)
            except LeaseHeld as held:
                self.log.info("%s", held)
                self.result = {"waiting": str(held)}
                return False
            self.result = {"owner": lease.run_id, "fencing token": lease.token}
            return True

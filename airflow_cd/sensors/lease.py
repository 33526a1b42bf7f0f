"""Wait until this run owns an environment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.errors import AirflowCdError, LeaseHeld
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context


class LeaseSensor(EnvironmentTask, BaseSensorOperator):
    """Own the environment, in the order in which runs came; the setup of everything a run does there.

    Puts right what a run that died left unfinished. Holds no worker while it waits.

    :param supersede: runs that came earlier and still wait give up in favour of this one.
    :param restore: whether what a dead run left unfinished is restored first; not for a rollback that replaces it.
    """

    role = Role.LEASE
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
        """Whether the environment is ours now."""
        try:
            lease = self.delivery(context).acquire(supersede=self.supersede, restore=self.restore)
        except LeaseHeld as held:
            self.log.info("%s", held)
            self.result = {"waiting": str(held)}
            return False
        except AirflowCdError as error:
            self.result = {"failed": str(error)}
            raise AirflowFailException(str(error)) from error
        self.result = {"owner": lease.run_id, "fencing token": lease.token}
        return True

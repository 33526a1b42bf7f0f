"""Wait until this run owns an environment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from airflow_cd.capacity import URGENT
from airflow_cd.clock import now
from airflow_cd.delivery.going_back import require_release, stop
from airflow_cd.errors import LeaseHeld, LedgerUnavailable, WrongLedger
from airflow_cd.operators.base import EnvironmentTask
from airflow_cd.sensors.living import dismiss_dead, earlier_is_about_to_ask
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.delivery import Delivery
    from airflow_cd.ledger import Lease

LONGEST_LET_PASS = timedelta(minutes=1)
"""How long a run lets one pass that was requested earlier and does not come."""


class LeaseSensor(EnvironmentTask, BaseSensorOperator):
    """Wait until this run owns the environment, in the order in which runs were requested; the setup of its tasks.

    Restores what a run that died left unfinished. Holds no worker while it waits (mode ``reschedule``, every 5
    seconds); has three retries by default. A run that Airflow says has ended stands in nobody's way. Parameters of
    :class:`~airflow_cd.operators.base.EnvironmentTask` and of Airflow's sensors come on top.

    :param supersede: older runs that still wait for the environment fail in favour of this one.
    :param restore: whether what a dead run left unfinished is restored first; pass False before a rollback that
        replaces it.
    :param going_back: whether the run was asked for to bring the environment back. It asks every second, is the next
        one, and takes the environment at once from the deployment that was under way when it was asked for, which is
        stopped and taken out of the traffic here.
    """

    role = Role.LEASE
    lives_long = False
    ui_color = "#eeeeee"

    def __init__(
        self, *, supersede: bool = False, restore: bool = True, going_back: bool = False, **kwargs: Any
    ) -> None:
        if going_back:
            kwargs = {**URGENT, **kwargs}
        # To start the task again each time would take longer than a second.
        kwargs.setdefault("mode", "poke" if going_back else "reschedule")
        kwargs.setdefault("poke_interval", 1 if going_back else 5)
        # Asking again changes nothing, so a worker that dies here is no reason to give up the run.
        kwargs.setdefault("retries", 3)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(**kwargs)
        self.supersede = supersede
        self.restore = restore
        self.going_back = going_back

    def poke(self, context: Context) -> bool:
        """Whether this run owns the environment now.

        :param context: of the task.
        :raises AirflowFailException: a newer run has superseded this one, or there is no release to go back to.
        :raises RollbackIncomplete: what a dead run left unfinished could not be restored yet.
        :raises TargetUnavailable: the target is away. A ledger that is away is waited for.
        :raises WrongLedger: this worker has another ledger than the one in use.
        """
        try:
            return self._acquired(context)
        except WrongLedger:
            raise
        except LedgerUnavailable as away:
            # Whoever waits for the environment waits for the ledger as well.
            self.log.warning("%s", away)
            self.result = {"waiting": str(away)}
            return False

    def _acquired(self, context: Context) -> bool:
        with self.at_work(context) as delivery:
            asked = context.get("params", {})
            if self.going_back:
                require_release(delivery, str(asked.get("release") or "").strip())
            try:
                lease = self._acquire(delivery, context["ti"])
            except LeaseHeld as held:
                self.log.info("%s", held)
                self.result = {"waiting": str(held)}
                return False
            if self.going_back:
                who = context["dag_run"].triggering_user_name or ""
                stop(delivery, lease, who=who, why=str(asked.get("reason") or ""))
            self.result = {"owner": lease.run_id, "fencing token": lease.token}
            return True

    def _acquire(self, delivery: Delivery, ti: Any) -> Lease:
        given: dict[str, Any] = {
            "supersede": self.supersede,
            "restore": self.restore and not self.going_back,
            "going_back": self.going_back,
            "take_expired": False,
            "let_pass": not (self.going_back or self.supersede) and self._lets_pass(delivery, ti),
        }
        try:
            return delivery.acquire(**given)
        except LeaseHeld:
            if given["let_pass"] or not dismiss_dead(delivery, ti):
                raise
        return delivery.acquire(**given)

    def _lets_pass(self, delivery: Delivery, ti: Any) -> bool:
        if delivery.requested_at is None or not earlier_is_about_to_ask(ti, delivery.requested_at):
            return False
        line = delivery.ledger.leases.waiting(delivery.service, delivery.environment)
        mine = next((one for one in line if (one.pipeline, one.run_id) == (delivery.pipeline, delivery.run_id)), None)
        return mine is None or now() - mine.asked_at < LONGEST_LET_PASS

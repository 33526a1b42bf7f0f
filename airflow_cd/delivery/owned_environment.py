"""Who owns an environment: the lease of a run, taken, kept and taken anew, and what an earlier owner has left."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_cd.clock import machine_now
from airflow_cd.delivery.causes import Why, unfinished_reason
from airflow_cd.delivery.keeping import LEASE_TTL, kept
from airflow_cd.delivery.marking import mark_rollback
from airflow_cd.delivery.restoring import Restored, restore
from airflow_cd.delivery.run_environment import RunEnvironment
from airflow_cd.errors import LeaseLost
from airflow_cd.states import DeploymentState, RollbackCause

if TYPE_CHECKING:
    from airflow_cd.ledger import Deployment, Lease


class OwnedEnvironment(RunEnvironment):
    """One environment, of which a run becomes and stays the owner.

    It is made with the parameters of :class:`~airflow_cd.delivery.run_environment.RunEnvironment`.
    """

    def acquire(
        self,
        *,
        supersede: bool = False,
        restore: bool = True,
        take_expired: bool = True,
        let_pass: bool = False,
        going_back: bool = False,
    ) -> Lease:
        """Become the environment's owner, and restore what an earlier owner left unfinished.

        :param supersede: remove older runs that still wait from the queue.
        :param restore: False leaves what is unfinished to a rollback that replaces it.
        :param take_expired: False leaves a lease that has expired to its owner, which may be slow and not dead.
        :param let_pass: stay in the queue this time: a run that was requested earlier is about to ask.
        :param going_back: whether the run was asked for to bring the environment back: an owner gives way to it.
        :raises LeaseHeld: another run owns the environment, or is ahead in the queue.
        :raises DeploymentSettled: a newer run has superseded this one.
        :raises RollbackIncomplete: what was left unfinished could not be restored yet.
        """
        requested = self.requested_at
        lease = self.ledger.leases.acquire(
            self.service,
            self.environment,
            pipeline=self.pipeline,
            run_id=self.run_id,
            ttl=LEASE_TTL,
            supersede=supersede,
            requested_at=requested,
            task_id=self.task_id,
            take_expired=take_expired,
            let_pass=let_pass,
            asked_ago=max(machine_now() - (requested or machine_now()), timedelta(0)) if going_back else None,
        )
        for unfinished in self._unfinished() if restore else ():
            self.log(
                f"{unfinished.pipeline} {unfinished.run_id} left {unfinished.release} unfinished here; restoring first."
            )
            died = Why(RollbackCause.FAULT, "the run that owned the environment died and left it unfinished")
            self.restore(unfinished, lease, unfinished_reason(self.ledger, unfinished, died))
        return lease

    def lease(self) -> Lease:
        """The lease of this run, renewed; acquired first if nobody holds it (an operator in a hand-written DAG).

        Once its deployment is over, a run has given the environment up for good.

        :raises LeaseHeld: another run owns the environment.
        :raises LeaseLost: this run's deployment is over, and it does not own the environment any more.
        """
        if current := self.held():
            return self.ledger.leases.renew(current, LEASE_TTL)
        deployment = self.deployment()
        if deployment is not None and DeploymentState(deployment.state).final:
            raise self._here(
                LeaseLost(
                    f"this run's deployment of {deployment.release} is over, and the run has given the environment up.",
                    state="nothing was changed by this task.",
                    next_step="Start a new run to deploy again.",
                )
            )
        return self.acquire()

    def take(self) -> Lease:
        """The lease of a run that brings the environment back; an owner gives way to it.

        :raises LeaseHeld: another run brings the environment back right now, or has deployed since it was asked for.
        """
        current = self.held()
        return self.ledger.leases.renew(current, LEASE_TTL) if current else self.acquire(restore=False, going_back=True)

    def overrule(self) -> Lease:
        """Take a new fencing token: every process of this run that still works under the old one is void.

        :raises LeaseHeld: another run owns the environment.
        """
        self.lease()
        return self._overruled()

    def restore(self, deployment: Deployment, lease: Lease, why: Why) -> Restored:
        """Return what any run's deployment has touched to what ran before it.

        :param deployment: what is rolled back.
        :param lease: of this run.
        :param why: the reason, whose cause decides whether the release is vetoed.
        :raises DeploymentSettled: the release was promoted.
        :raises LeaseLost: somebody holds a newer token.
        :raises RollbackIncomplete: part of the environment is not back on its release; trying again resumes it.
        """
        with self._located(deployment.release), kept(self.ledger, lease):
            restored = restore(self._changes, deployment, lease, self.touched(deployment), why)
            mark_rollback(self, deployment, lease, why.text)
            return restored

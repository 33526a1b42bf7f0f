"""One environment in the hands of one run: who holds it, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_cd.clock import now
from airflow_cd.delivery.keeping import LEASE_TTL
from airflow_cd.delivery.recorded_target import RecordedTarget
from airflow_cd.delivery.sealed_target import SealedTarget
from airflow_cd.errors import (
    AirflowCdError,
    DeploymentFailed,
    DeploymentSettled,
    EnvironmentFrozen,
    ReleaseVetoed,
)
from airflow_cd.release import Release
from airflow_cd.targets.base import Target

if TYPE_CHECKING:
    from airflow_cd.instances import Instance
    from airflow_cd.ledger import Deployment, Lease, Ledger, Phase


class RunEnvironment:
    """One environment in the hands of one run: what the run holds there, and what the ledger knows of it.

    :param ledger: where everything is recorded.
    :param target: how the environment is reached and changed.
    :param pipeline: id of the DAG.
    :param run_id: id of its run.
    :param service: name of what is deployed.
    :param environment: name of the environment.
    :param log: called with one line at a time, for the person who reads the task's log.
    :param requested_at: when the run was requested, aware: a release that was requested earlier never replaces one
        that was requested later. None: when the deployment is opened.
    :param timeout: how long instances may take to come up healthy.
    :param task_id: the task at work, by which other runs find out whether this one still waits for the environment.
    """

    def __init__(
        self,
        ledger: Ledger,
        target: Target,
        *,
        pipeline: str,
        run_id: str,
        service: str,
        environment: str,
        log: Callable[[str], None],
        requested_at: datetime | None = None,
        timeout: timedelta = timedelta(minutes=5),
        task_id: str = "",
    ) -> None:
        self.ledger = ledger
        self.target: SealedTarget = SealedTarget(
            target,
            ledger,
            service=service,
            environment=environment,
            log=lambda line: self.log(line),  # noqa: PLW0108
        )
        self.pipeline = pipeline
        self.run_id = run_id
        self.service = service
        self.environment = environment
        self.log = log
        self.requested_at = requested_at
        self.timeout = timeout
        self.task_id = task_id
        self.newest_token: int | None = None
        """The fencing token that was taken last here; a target may refuse every older one."""
        self._changes = RecordedTarget(
            ledger,
            self.target,
            service=service,
            environment=environment,
            timeout=timeout,
            log=lambda line: self.log(line),  # noqa: PLW0108 - whatever it is by then
        )

    def deployment(self) -> Deployment | None:
        """The run's deployment here, if it has begun."""
        return self.ledger.deployments.of_run(self.pipeline, self.run_id, self.service, self.environment)

    def require_deployment(self) -> Deployment:
        """The run's deployment.

        :raises DeploymentFailed: nothing has been deployed yet.
        """
        deployment = self.deployment()
        if deployment is None:
            raise self._here(
                DeploymentFailed(
                    "nothing has been deployed by this run.",
                    state="nothing was changed.",
                    next_step="Put a deploy task upstream of this one.",
                )
            )
        return deployment

    def phase(self, name: str) -> Phase | None:
        """The phase of that name, if it has begun."""
        deployment = self.deployment()
        phases = self.ledger.phases.of(deployment.id) if deployment else []
        return next((phase for phase in phases if phase.name == name), None)

    def touched(self, deployment: Deployment) -> list[str]:
        """Every named instance, or track of replicas, that this deployment has, or may have, changed; sorted."""
        return self._changes.division.touched(self.ledger.phases.of(deployment.id))

    def show(self, instances: Sequence[Instance]) -> None:
        """Let those who look on see what was just seen to run.

        :param instances: as the target has listed them.
        """
        self._changes.show(instances)

    def _unfinished(self) -> list[Deployment]:
        """What other runs have left unfinished here, newest first."""
        unsettled = self.ledger.deployments.unsettled(self.service, self.environment)
        return [one for one in unsettled if (one.pipeline, one.run_id) != (self.pipeline, self.run_id)]

    def asked_at(self) -> datetime:
        """When the run was requested, by the ledger's clock."""
        return self.requested_at + self.ledger.store.ahead() if self.requested_at is not None else now()

    def held(self) -> Lease | None:
        """The run's lease, without asking for it; None when it does not own the environment."""
        current = self.ledger.leases.current(self.service, self.environment)
        mine = current is not None and (current.pipeline, current.run_id) == (self.pipeline, self.run_id)
        return current if mine else None

    def release_lease(self) -> None:
        """Let the next run have the environment; does nothing when this run does not own it."""
        if current := self.held():
            self.ledger.leases.release(current)
        self.ledger.leases.leave_queue(self.service, self.environment, pipeline=self.pipeline, run_id=self.run_id)

    def _overruled(self) -> Lease:
        lease = self.ledger.leases.overrule(
            self.service, self.environment, pipeline=self.pipeline, run_id=self.run_id, ttl=LEASE_TTL
        )
        self.newest_token = lease.token
        return lease

    def _refuse_frozen(self) -> None:
        freeze = self.ledger.freezes.in_force(self.service, self.environment)
        if freeze is not None:
            raise EnvironmentFrozen(
                freeze.sentence,
                state="nothing was changed.",
                next_step="Start a new run when the freeze is lifted: "
                f"airflow-cd freeze lift {self.service} {self.environment} --why ...",
            )

    def refuse_vetoed(self, release: Release) -> None:
        """Refuse a release that was rolled back here.

        :raises ReleaseVetoed: nobody has lifted the veto.
        """
        veto = self.ledger.vetoes.in_force(self.service, self.environment, release)
        if veto is not None:
            raise ReleaseVetoed(
                f"{release} was rolled back here on {veto.at:%Y-%m-%d %H:%M} UTC: {veto.reason}",
                state="nothing was changed.",
                next_step="Deploy another release, or lift the veto: "
                f"airflow-cd veto lift {self.service} {self.environment} {release.digest[7:15]} --why ...",
            )

    def _settled(self, deployment: Deployment) -> DeploymentSettled:
        state = deployment.state.replace("_", " ")
        return DeploymentSettled(
            f"this run's deployment of {deployment.release} is over: {state}"
            + (f" ({deployment.outcome})." if deployment.outcome else "."),
            release=str(deployment.release),
            state="nothing was changed by this task.",
            next_step="Start a new run to deploy again.",
        )

    @contextmanager
    def _located(self, release: Release) -> Iterator[None]:
        """Errors of the body say where they happened and which release they are about."""
        try:
            yield
        except AirflowCdError as error:
            error.release = error.release or str(release)
            self._here(error)
            raise

    def _here(self, error: AirflowCdError) -> AirflowCdError:
        return error.at(pipeline=self.pipeline, service=self.service, environment=self.environment)

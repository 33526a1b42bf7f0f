"""One environment in the hands of one run: every side effect is recorded, fenced and checked against the truth."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_cd.commits import NOT_READ
from airflow_cd.delivery.capture import capture, choose_instances
from airflow_cd.delivery.commit_reading import reading_commits
from airflow_cd.errors import AirflowCdError, DeploymentFailed, DeploymentSettled, LeaseLost, TargetError
from airflow_cd.release import NOTHING, Release
from airflow_cd.targets.base import Instance, Target
from airflow_cd.targets.rollout import differences, wait_until

if TYPE_CHECKING:
    from airflow_cd.commits import CommitSource
    from airflow_cd.ledger import Deployment, Lease, Ledger, Phase

LEASE_TTL = timedelta(minutes=15)
SETTLED = ("promoted", "rolled_back")
GOING_BACK = "rollback"
"""The one phase of a person's rollback."""


def now() -> datetime:
    """The time, aware and in UTC."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Restored:
    """What a rollback did.

    :param release: what the environment runs again; None when it was empty before.
    :param seconds: from verdict to restored and checked.
    """

    release: Release | None
    instances: tuple[str, ...]
    seconds: float


class Delivery:
    """What one run of one pipeline does to one environment.

    :param say: takes one line for the person who reads the task's log.
    :param requested_at: when the run was asked for: what was asked for earlier never goes over what was asked later.
    :param timeout: how long instances may take to come up healthy.

    All methods raise :class:`~airflow_cd.errors.AirflowCdError` with pipeline and environment filled in.
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
        say: Callable[[str], None],
        requested_at: datetime | None = None,
        timeout: timedelta = timedelta(minutes=5),
    ) -> None:
        self.ledger = ledger
        self.target = target
        self.pipeline = pipeline
        self.run_id = run_id
        self.service = service
        self.environment = environment
        self.say = say
        self.requested_at = requested_at
        self.timeout = timeout

    # -- who owns the environment ------------------------------------------------------------------------------

    def acquire(self, *, supersede: bool = False, restore: bool = True) -> Lease:
        """Become the environment's owner, and put right what an owner before left unfinished.

        :param restore: False leaves that to a rollback that replaces it, and needs nothing of what ran before it.

        Raises :class:`~airflow_cd.errors.LeaseHeld` while another run owns it.
        """
        lease = self.ledger.leases.acquire(
            self.service,
            self.environment,
            pipeline=self.pipeline,
            run_id=self.run_id,
            ttl=LEASE_TTL,
            supersede=supersede,
        )
        for left in self._left() if restore else ():
            self.say(f"{left.pipeline} {left.run_id} left {left.release} unfinished here; restoring first.")
            self._restore(left, lease, "the run that owned the environment died and left it unfinished")
        return lease

    def lease(self) -> Lease:
        """The lease as this run holds it now; taken first if nobody holds it (an operator used by hand)."""
        current = self.ledger.leases.current(self.service, self.environment)
        if current and (current.pipeline, current.run_id) == (self.pipeline, self.run_id):
            return self.ledger.leases.renew(current, LEASE_TTL)
        return self.acquire()

    def overrule(self) -> Lease:
        """Take a new fencing token: every process of this run that still works under the old one is void."""
        self.lease()
        return self.ledger.leases.overrule(
            self.service, self.environment, pipeline=self.pipeline, run_id=self.run_id, ttl=LEASE_TTL
        )

    def release_lease(self) -> None:
        """Let the next run have the environment."""
        current = self.ledger.leases.current(self.service, self.environment)
        if current and (current.pipeline, current.run_id) == (self.pipeline, self.run_id):
            self.ledger.leases.release(current)
        self.ledger.leases.leave_queue(self.service, self.environment, pipeline=self.pipeline, run_id=self.run_id)

    # -- what became of it -------------------------------------------------------------------------------------

    def deployment(self) -> Deployment | None:
        """This run's deployment here, if it has begun."""
        return self.ledger.deployments.of_run(self.pipeline, self.run_id, self.service, self.environment)

    def require_deployment(self) -> Deployment:
        """This run's deployment; raises :class:`DeploymentFailed` when nothing has been deployed yet."""
        deployment = self.deployment()
        if deployment is None:
            raise self._here(
                DeploymentFailed(
                    "nothing has been deployed by this run.",
                    state="nothing was touched.",
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
        """Every instance that this deployment has, or may have, changed."""
        return sorted({name for phase in self.ledger.phases.of(deployment.id) for name in phase.instances})

    def failure(self, deployment: Deployment) -> str:
        """What the last failed attempt to deploy said, ``""`` when none failed or a later one did not."""
        attempts = [action for action in self.ledger.actions.of(deployment.id) if action.kind == "deploy"]
        failed = bool(attempts) and attempts[-1].ok is False
        return " ".join(str(attempts[-1].detail.get("error", "")).split()) if failed else ""

    # -- forward -----------------------------------------------------------------------------------------------

    def check(self, release: Release) -> None:
        """Refuse, before anything is touched, what could not be deployed or must not be."""
        veto = self.ledger.vetoes.in_force(self.service, self.environment, release)
        if veto is not None:
            from airflow_cd.errors import ReleaseVetoed

            raise self._here(
                ReleaseVetoed(
                    f"{release} was rolled back here on {veto.at:%Y-%m-%d %H:%M} UTC: {veto.reason}",
                    state="nothing was touched.",
                    next_step="Deploy another release, or lift the veto: "
                    f"airflow-cd veto lift {self.service} {self.environment} {release.digest[7:15]} --why ...",
                )
            )
        try:
            self.target.check(release)
        except AirflowCdError as error:
            error.state = error.state or "nothing was touched."
            raise self._here(error) from None

    def deploy(
        self,
        release: Release,
        *,
        phase: str,
        share: int = 100,
        reason: str = "",
        triggered_by: str = "",
        rollback: str = "automatic",
        learn: bool = False,
        going_back: bool = False,
        commits: CommitSource | None = None,
    ) -> Phase:
        """Bring the release to a share of the environment and see it healthy there.

        Does again only what is not yet so: may be repeated at any time. Instances that a verification drained
        get their traffic back. What ``commits`` knows of the release is read and recorded meanwhile, once.

        :param going_back: a person rolls the environment back to this release.
        """
        rolls_back = None
        try:
            existing = self.deployment()
            if existing is not None and existing.state != "running":
                raise self._settled(existing)
            lease = self.overrule()
            instances = self.target.instances()
            if existing is None:
                self.check(release)
                last = self.ledger.deployments.last_promoted(self.service, self.environment)
                good = last.release if last is not None else None
                previous = capture(self.service, self.environment, instances, good=good, mixed=going_back)
                if going_back:
                    rolls_back = self._taken_back(last, release, previous)
            else:
                previous = dict(existing.previous)
            deployment = self.ledger.deployments.open(
                lease,
                release,
                previous=previous,
                reason=reason,
                triggered_by=triggered_by,
                rollback=rollback,
                learn=learn,
                requested_at=self.requested_at,
                rolls_back=rolls_back,
                commits=NOT_READ if commits is not None else None,
            )
            if deployment.release != release:
                raise DeploymentSettled(
                    f"this run deploys {deployment.release} here and cannot turn to {release} halfway.",
                    state=f"{', '.join(self.touched(deployment)) or 'nothing'} was given {deployment.release}.",
                    next_step="Start a new run for the other release.",
                )
            chosen = choose_instances(sorted(previous), share, self.touched(deployment))
            record = self.ledger.phases.start(deployment.id, phase, share=share, instances=chosen, token=lease.token)
            self.say(f"{release} to {len(chosen)} of {len(previous)} instances ({share} %): {', '.join(chosen)}")
            with reading_commits(self.ledger, deployment, commits, self.say):
                self._put(deployment, lease, dict.fromkeys(chosen, release), kind="deploy")
                self._give_traffic_back(deployment, lease, chosen)
                return self.ledger.phases.deployed(deployment.id, record.name, at=now(), token=lease.token) or record
        except AirflowCdError as error:
            raise self._here(error) from None

    def promote(self, outcome: str) -> Deployment:
        """Make the release the environment's good one, after reading back that it is wholly there."""
        deployment = self.require_deployment()
        if deployment.state == "promoted":
            return deployment
        if deployment.state != "running":
            raise self._here(self._settled(deployment))
        try:
            lease = self.overrule()
            wanted = dict.fromkeys(deployment.previous, deployment.release)
            instances = self.target.instances()
            self.ledger.instances.record(self.service, self.environment, instances, at=now())
            wrong = differences(instances, wanted) + [f"{i.name} is drained" for i in instances if i.drained]
            if wrong:
                raise DeploymentFailed(
                    f"{deployment.release} cannot be promoted: {'; '.join(wrong)}.",
                    state="nothing was changed by this task.",
                    next_step="The environment is restored to the release before; look at these instances.",
                )
            self.ledger.settlement.promote(deployment.id, token=lease.token, outcome=outcome)
        except AirflowCdError as error:
            raise self._here(error) from None
        self.say(f"{deployment.release} promoted: {len(wanted)} of {len(wanted)} instances run it.")
        return self.ledger.deployments.get(deployment.id)

    def roll_back_to(self, release: Release, why: str, *, who: str) -> Deployment:
        """A person's rollback after a promotion: bring the whole environment to a release that was good here.

        The deployment that it takes back is rolled back in the ledger and its release vetoed, once this one is wholly
        there; a release that does not come up gives way to what ran before, like any other.
        """
        begun = self.deployment()
        if begun is not None and begun.state == "promoted":
            return begun
        self.deploy(release, phase=GOING_BACK, reason=why, triggered_by=who, going_back=True)
        taken = self.require_deployment().rolls_back
        what = "what ran here" if taken in (None, NOTHING) else self.ledger.deployments.get(str(taken)).release
        return self.promote(f"{who or 'somebody'} rolled {what} back to {release}: {why}")

    # -- safe, and back ----------------------------------------------------------------------------------------

    def drain(self, lease: Lease, deployment: Deployment) -> bool:
        """Take the canary out of the traffic; False when no other instance could carry it.

        :param lease: the lease under which the verdict was reached. A person who has overruled it since wins:
            raises :class:`LeaseLost` or :class:`~airflow_cd.errors.TargetConflict`.
        """
        touched = self.touched(deployment)
        if set(touched) >= set(deployment.previous):
            self.say("Not draining: no instance on the release before is left to carry the traffic.")
            return False
        self._act(deployment, lease, "drain", touched)
        self.ledger.deployments.set_clock(deployment.id, safe_at=now())
        self.say(f"Drained {', '.join(touched)}: no request reaches the canary any more.")
        return True

    def restore_traffic(self, deployment: Deployment) -> None:
        """Give a drained canary its traffic back, because a person wants it to go on or be verified again."""
        self._act(deployment, self.overrule(), "restore", self.touched(deployment))

    def roll_back(self, why: str) -> Restored | None:
        """Return artifact and configuration to what was there before; None when nothing was ever touched."""
        deployment = self.deployment()
        if deployment is None:
            return None
        if deployment.state == "promoted":
            raise self._here(self._settled(deployment))
        if deployment.state == "rolled_back":
            self.say("Already rolled back; nothing to do.")
            return None
        try:
            return self._restore(deployment, self.overrule(), why)
        except AirflowCdError as error:
            raise self._here(error) from None

    def settle(self) -> Deployment | None:
        """The end of a run here: restore whatever is neither promoted nor rolled back, then let go of the lease."""
        deployment = self.deployment()
        if deployment is not None and deployment.state not in SETTLED:
            self.say(f"{deployment.release} is neither promoted nor rolled back at the end of the run: restoring.")
            said = self.failure(deployment)
            self.roll_back(
                f"the deployment failed: {said}" if said else "the run ended before the release was promoted"
            )
        self.release_lease()
        return self.deployment()

    # -- inside ------------------------------------------------------------------------------------------------

    def _left(self) -> list[Deployment]:
        """What other runs have left unfinished here, newest first."""
        left = self.ledger.deployments.unsettled(self.service, self.environment)
        return [one for one in left if (one.pipeline, one.run_id) != (self.pipeline, self.run_id)]

    def _taken_back(self, last: Deployment | None, release: Release, previous: Mapping[str, Release | None]) -> str:
        """Id of the deployment that a rollback takes back: whose release runs or was left, or NOTHING."""
        if left := [one for one in self._left() if one.release != release]:
            return left[0].id
        if last is not None and last.release != release:
            return last.id if last.release in previous.values() else NOTHING
        if set(previous.values()) == {release}:
            raise DeploymentSettled(
                f"{release} is what runs here already, on every instance.",
                state="nothing was touched.",
                next_step="Choose another release to go back to.",
            )
        return NOTHING

    def _restore(self, deployment: Deployment, lease: Lease, why: str) -> Restored:
        ledger, token = self.ledger, lease.token
        ledger.settlement.begin_rollback(deployment.id, token=token, outcome=why)
        ledger.deployments.set_clock(deployment.id, verdict_at=now())
        touched = self.touched(deployment)
        wanted = {name: deployment.previous[name] for name in touched}
        try:
            if touched:
                if set(touched) < set(deployment.previous):
                    self._act(deployment, lease, "drain", touched)
                    ledger.deployments.set_clock(deployment.id, safe_at=now())
                self._put(deployment, lease, wanted, kind="rollback")
                self._give_traffic_back(deployment, lease, touched)
            wrong = differences(self.target.instances(), wanted)
        except LeaseLost:
            raise
        except AirflowCdError as error:
            wrong = [error.what]
        if wrong:
            state = self._what_runs()
            ledger.settlement.finish_rollback(
                deployment.id, token=token, restored=False, outcome=f"{why}; {'; '.join(wrong)}"
            )
            raise self._here(
                DeploymentFailed(
                    f"the rollback from {deployment.release} could not finish: {'; '.join(wrong)}.",
                    state=state,
                    next_step="Mend what is named, then clear this task: it goes on where it stopped.",
                )
            )
        ledger.deployments.set_clock(deployment.id, safe_at=now(), restored_at=now())
        ledger.settlement.finish_rollback(deployment.id, token=token, restored=True, outcome=why)
        done = ledger.deployments.get(deployment.id)
        release = next(iter(wanted.values()), None)
        seconds = done.to_restored or 0.0
        self.say(f"Restored {release or 'an empty environment'} on {', '.join(touched) or 'nothing'}: {seconds:.1f} s.")
        return Restored(release, tuple(touched), seconds)

    def _put(self, deployment: Deployment, lease: Lease, wanted: Mapping[str, Release | None], *, kind: str) -> None:
        """Bring each instance to its release, the same release in one call, and wait until they are healthy."""
        by_release: dict[Release | None, list[str]] = {}
        for name, release in sorted(wanted.items()):
            by_release.setdefault(release, []).append(name)
        key = self._key(deployment, kind, lease)
        names = {str(release or "nothing"): instances for release, instances in by_release.items()}
        self.ledger.actions.begin(deployment.id, kind, key, token=lease.token, detail={"put": names})
        try:
            for number, (release, instances) in enumerate(by_release.items()):
                self.target.deploy(release, instances, key=f"{key}-{number}", token=lease.token)
            wait_until(self.target, wanted, timeout=self.timeout, on_progress=self._progress)
        except AirflowCdError as error:
            self.ledger.actions.finish(key, ok=False, detail={"put": names, "error": error.what})
            raise
        finally:
            self._observe()
        self.ledger.actions.finish(key, ok=True, detail={"put": names})

    def _progress(self, done: int, left: Sequence[str]) -> None:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        self.say(f"{done} ready" + (f"; waiting: {'; '.join(left[:3])}{more}" if left else ""))

    def _act(self, deployment: Deployment, lease: Lease, kind: str, instances: Sequence[str]) -> None:
        key = self._key(deployment, kind, lease)
        action = self.target.drain if kind == "drain" else self.target.restore
        detail = {"instances": list(instances)}
        # Every second of a bad canary counts, so the ledger's record of a drain begins and ends after it.
        if kind != "drain":
            self.ledger.actions.begin(deployment.id, kind, key, token=lease.token, detail=detail)
        began = now()
        action(instances, key=key, token=lease.token)
        if kind == "drain":
            detail["seconds"] = [f"{(now() - began).total_seconds():.3f}"]
            self.ledger.actions.begin(deployment.id, kind, key, token=lease.token, detail=detail)
        self.ledger.actions.finish(key, ok=True, detail=detail)

    def _give_traffic_back(self, deployment: Deployment, lease: Lease, instances: Iterable[str]) -> None:
        drained = {instance.name for instance in self.target.instances() if instance.drained}
        if mine := sorted(drained & set(instances)):
            self._act(deployment, lease, "restore", mine)
            self._observe()

    def _observe(self) -> list[Instance]:
        try:
            instances = self.target.instances()
        except TargetError:
            return []
        self.ledger.instances.record(self.service, self.environment, instances, at=now())
        return instances

    def _what_runs(self) -> str:
        try:
            instances = self.target.instances()
        except TargetError as error:
            return f"unknown: {error.what}"
        return "; ".join(
            f"{i.name}: {i.artifact or 'empty'}, {i.health}{', drained' if i.drained else ''}" for i in instances
        )

    def _key(self, deployment: Deployment, kind: str, lease: Lease) -> str:
        # One side effect has one key; a new attempt works under a new token and must not be taken for the old one.
        return f"{deployment.id}-{kind}-{lease.token}-{uuid.uuid4().hex[:8]}"

    def _settled(self, deployment: Deployment) -> DeploymentSettled:
        word = deployment.state.replace("_", " ")
        return DeploymentSettled(
            f"this run's deployment of {deployment.release} is over: {word}"
            + (f" ({deployment.outcome})." if deployment.outcome else "."),
            state="nothing was touched by this task.",
            next_step="Start a new run to deploy again.",
        )

    def _here(self, error: AirflowCdError) -> AirflowCdError:
        return error.at(pipeline=self.pipeline, environment=self.environment)

"""What one run does to one environment: every side effect is recorded, fenced and checked against the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_cd.clock import now
from airflow_cd.commits import NOT_READ
from airflow_cd.delivery.capture import capture
from airflow_cd.delivery.causes import Why, failure_of, known_reason, unfinished_reason
from airflow_cd.delivery.commit_reading import reading_commits
from airflow_cd.delivery.draining import was_drained_last
from airflow_cd.delivery.going_back import await_other, taken_over
from airflow_cd.delivery.handover import Handover
from airflow_cd.delivery.keeping import LEASE_TTL, kept
from airflow_cd.delivery.owned_environment import OwnedEnvironment
from airflow_cd.delivery.restoring import Restored
from airflow_cd.errors import (
    AirflowCdError,
    DeploymentFailed,
    DeploymentSettled,
    LeaseLost,
    LedgerError,
    RollbackIncomplete,
)
from airflow_cd.instances import Track
from airflow_cd.release import NOTHING, Release
from airflow_cd.states import ActionKind, DeploymentState, RollbackCause, RollbackMode
from airflow_cd.targets.base import in_place, mirrors
from airflow_cd.targets.rollout import Wanted, differences, unhealthy

if TYPE_CHECKING:
    from airflow_cd.commits import CommitSource
    from airflow_cd.ledger import Deployment, Lease, Phase

__all__ = ["LEASE_TTL", "ROLLBACK_PHASE", "Delivery", "Restored", "now"]

ROLLBACK_PHASE = "rollback"
"""Name of the only phase of a rollback to an earlier good release."""


class Delivery(OwnedEnvironment):
    """What one run of one pipeline does to one environment.

    All methods raise :class:`~airflow_cd.errors.AirflowCdError`, which says where it happened and whether trying
    again may help: :class:`~airflow_cd.errors.Refused` is final, :class:`~airflow_cd.errors.Unavailable` is not. In
    particular :class:`~airflow_cd.errors.LeaseHeld` and :class:`~airflow_cd.errors.LeaseLost` when another run owns
    the environment, and :class:`~airflow_cd.errors.LedgerUnavailable`. It is made with the parameters of
    :class:`~airflow_cd.delivery.run_environment.RunEnvironment`.
    """

    # -- forward -----------------------------------------------------------------------------------------------

    def check(self, release: Release) -> None:
        """Refuse, before anything is changed, what cannot be deployed or must not be.

        :raises ReleaseVetoed: the release was rolled back here and nobody has lifted the veto.
        :raises ArtifactNotFound: the target does not find the artifact.
        :raises TargetError: the target refuses to answer, or does not answer.
        """
        with self._located(release):
            self.refuse_vetoed(release)
            try:
                self.target.check(release)
            except AirflowCdError as error:
                error.state = error.state or "nothing was changed."
                raise

    def deploy(
        self,
        release: Release,
        *,
        phase: str,
        share: int = 100,
        traffic: int | None = None,
        reason: str = "",
        triggered_by: str = "",
        rollback: str = RollbackMode.AUTOMATIC,
        learn: bool = False,
        to_earlier: bool = False,
        commits: CommitSource | None = None,
        hand_over: Callable[[Handover], None] = lambda handover: None,
    ) -> Phase:
        """Bring the release to a share of the environment and wait until it is healthy there.

        May be repeated at any time: only what is not so yet is done. Instances that a verification drained get their
        traffic back. The commits of the release are read and recorded meanwhile, once.

        :param phase: name of the phase, unique in the deployment.
        :param share: percent of all instances that run the release afterwards.
        :param traffic: percent of the requests that they have then, where the platform divides them apart from
            replicas; None, the default, for what the share brings. What ran before is kept beside it.
        :param reason: why, as the ledger keeps it.
        :param triggered_by: name of the user who triggered the run, ``""`` when nobody did.
        :param rollback: a :class:`~airflow_cd.states.RollbackMode`.
        :param learn: take what this deployment logs as known good.
        :param to_earlier: the release is an earlier good one that a person rolls the environment back to.
        :param commits: where the commits of the release are; None when the pipeline names no repository.
        :param hand_over: called before anything is touched, with what a rollback needs when the ledger is away.
        :returns: the phase, as the ledger records it.
        :raises ReleaseVetoed: like everything :meth:`check` raises, before anything is changed.
        :raises DeploymentSettled: this run's deployment is over or is of another release, or a newer one is here.
        :raises DeploymentFailed: instances did not come up on the release.
        :raises TargetError: the target refused, or does not answer.
        """
        with self._located(release):
            existing = self.deployment()
            if existing is not None and existing.state != DeploymentState.RUNNING:
                raise self._settled(existing)
            lease = self.overrule()
            rolls_back, previous = None, dict(existing.previous) if existing is not None else {}
            if existing is None:
                rolls_back, previous = self._before(release, to_earlier=to_earlier)
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
                    f"this run deploys {deployment.release} here and cannot switch to {release} halfway.",
                    state=f"{', '.join(self.touched(deployment)) or 'nothing'} was given {deployment.release}.",
                    next_step="Start a new run for the other release.",
                )
            divided = self._changes.division
            chosen = divided.chosen(previous, share, self.touched(deployment), traffic)
            # Replicas have no names before they are made.
            names = divided.named(chosen, [], release)
            record = self.ledger.phases.start(
                deployment.id, phase, share=share, traffic=traffic, instances=names, token=lease.token
            )
            touched = sorted({*self.touched(deployment), *chosen})
            hand_over(Handover(deployment.id, release, deployment.previous, touched, lease.token))
            if deployment.first and existing is None:
                self.log(f"Nothing to compare with: deploying {release} as the first release of {self.environment}.")
            to = f"{len(names)} of {len(previous)} instances ({share} %)" if names else f"{share} % of the environment"
            to += f", {traffic} % of the requests" if traffic is not None else ""
            self.log(f"{release} to {to}: {', '.join(chosen)}")
            with reading_commits(self.ledger, deployment, commits, self.log):
                with self._blaming(deployment, lease), kept(self.ledger, lease):
                    steps = divided.forward(release, chosen, share)
                    self._changes.put(deployment, lease, steps, kind=ActionKind.DEPLOY, share=share, traffic=traffic)
                    self._divide(deployment, lease, chosen, traffic)
                names = names or divided.named(chosen, self.target.instances(), release)
                return self.ledger.phases.deployed(
                    deployment.id, record.name, at=now(), token=lease.token, instances=names
                )

    def ask_for_share(self, deployment: Deployment, phase: Phase) -> None:
        """Ask for the share of a canary again, whose platform has made more or fewer stable replicas since.

        :param deployment: the canary's.
        :param phase: whose share it is.
        :raises LeaseLost: somebody has overruled this run.
        :raises TargetError: the target refused, or does not answer.
        """
        wanted: Wanted = {Track.CANARY: deployment.release}
        self._changes.ask(deployment, self.lease(), wanted, share=phase.share, traffic=phase.traffic)

    def promote(self, outcome: str) -> Deployment:
        """Make the release the environment's good one, after reading back that it runs on every instance.

        :param outcome: one sentence: why.
        :raises DeploymentSettled: the deployment was rolled back.
        :raises DeploymentFailed: nothing was deployed, or instances do not run the release.
        :raises TargetError: what runs cannot be read.
        """
        deployment = self.require_deployment()
        if deployment.state == DeploymentState.PROMOTED:
            return deployment
        with self._located(deployment.release):
            if deployment.state != DeploymentState.RUNNING:
                raise self._settled(deployment)
            lease = self.overrule()
            if deployment.cause is not None:
                # Whoever promotes has been allowed to.
                self.ledger.settlement.blame(deployment.id, token=lease.token, cause=None, outcome="")
            wanted = self._changes.division.whole(deployment.previous, deployment.release)
            instances = self.target.instances()
            self._changes.record(instances)
            wrong = differences(instances, wanted) + [f"{i.name} is drained" for i in instances if i.drained]
            if wrong:
                with self._blaming(deployment, lease):
                    raise DeploymentFailed(
                        f"{deployment.release} cannot be promoted: {'; '.join(wrong)}.",
                        unhealthy=unhealthy(instances, wanted),
                        state="nothing was changed by this task.",
                        next_step="The environment is restored to the release before; look at these instances.",
                    )
            self.ledger.settlement.promote(deployment.id, token=lease.token, outcome=outcome)
        self.log(f"{deployment.release} promoted: {len(instances)} of {len(instances)} instances run it.")
        return self.ledger.deployments.get(deployment.id)

    def roll_back_to(self, release: Release, why: str, *, who: str) -> Deployment:
        """Bring the whole environment to a release that was good here, after a promotion too.

        The deployment that it replaces is marked rolled back in the ledger and its release vetoed, once this one runs
        everywhere. While it does not come up it may be repeated; the end of the run restores what ran before.

        :param release: the release to go back to.
        :param why: the person's reason.
        :param who: name of the person, ``""`` when unknown.
        :raises RollbackIncomplete: the release does not run on every instance yet.
        :raises DeploymentSettled: the release runs everywhere already, or this run's deployment is over.
        :raises ReleaseVetoed: like everything :meth:`check` raises, before anything is changed.
        """
        begun = self.deployment()
        if begun is not None and begun.state == DeploymentState.PROMOTED:
            return begun
        try:
            self.deploy(release, phase=ROLLBACK_PHASE, reason=why, triggered_by=who, to_earlier=True)
            replaced = self.require_deployment().rolls_back
            name = (
                "what ran here" if replaced in (None, NOTHING) else self.ledger.deployments.get(str(replaced)).release
            )
            return self.promote(f"{who or 'somebody'} rolled {name} back to {release}: {why}")
        except DeploymentFailed as error:
            raise self._here(
                RollbackIncomplete(
                    f"the rollback to {release} could not finish: {error.what}",
                    release=str(release),
                    instances=error.instances,
                    state=error.state,
                    next_step="Fix the problems listed, then clear this task; it resumes where it stopped. If it is "
                    "left failed, the end of the run restores what ran before.",
                )
            ) from error

    # -- safe, and back ----------------------------------------------------------------------------------------

    def drain(self, lease: Lease, deployment: Deployment, touched: Sequence[str]) -> bool:
        """Take the canary out of the traffic.

        :param lease: the lease under which the verdict was reached. Whoever has overruled it since wins.
        :param deployment: the canary's.
        :param touched: all that it may have changed, as :meth:`touched` gives it.
        :returns: False when no other instance could carry the traffic, and nothing was drained; or when requests reach
            it all the same, and only the rollback ends them.
        :raises LeaseLost: somebody has overruled the lease.
        :raises TargetConflict: the same, as the target says it.
        :raises TargetUnavailable: the target does not answer.
        """
        if not self._changes.division.carried(deployment.previous, touched):
            self.log("Not draining: no instance on the release before is left to carry the traffic.")
            return False
        if not self._changes.drain(deployment, lease, touched):
            self.log(f"Requests still reach {', '.join(touched)}, which no drain keeps them from: the rollback does.")
            return False
        self.log(f"Drained {', '.join(touched)}: no request reaches the canary any more.")
        return True

    def drained(self, deployment: Deployment) -> bool:
        """Whether an instance that the deployment has changed is out of the traffic, or of a part, and should not be.

        :raises TargetError: the target refused, or does not answer.
        """
        if self._without_traffic(deployment):
            # Of copies that it gets in their place nothing that is read back says anything.
            return mirrors(self.target) and was_drained_last(self.ledger, deployment, back=ActionKind.DEPLOY)
        if in_place(self.target) and was_drained_last(self.ledger, deployment):
            # Which part of their requests it has kept from replicas that are reached past it nothing says.
            return True
        touched = set(self.touched(deployment))
        return any(instance.drained for instance in self.target.instances() if instance.unit in touched)

    def restore_traffic(self, deployment: Deployment, lease: Lease) -> None:
        """Give a drained canary its traffic back, because a person wants it to go on or be verified again.

        One that gets copies of requests in the place of its own gets these.

        :param deployment: the canary's.
        :param lease: of :meth:`overrule`, so that whoever would still drain it is void.
        :raises TargetError: the target refused, or does not answer.
        """
        phase = self._without_traffic(deployment)
        if phase is None:
            self._changes.restore_traffic(deployment, lease, self.touched(deployment))
        elif mirrors(self.target):
            wanted: Wanted = {Track.CANARY: deployment.release}
            self._changes.ask(deployment, lease, wanted, share=phase.share, traffic=phase.traffic)

    def roll_back(self, why: Why | str) -> Restored | None:
        """Return artifact and configuration to what was there before.

        :param why: the reason, whose cause decides whether the release is vetoed; a text alone is a person's decision.
            What was held against the release before stays.
        :returns: what was restored; None when nothing was ever changed, when it was rolled back already, or when a
            run that a person has asked for is at it.
        :raises DeploymentSettled: the release was promoted.
        :raises LeaseLost: another run owns the environment.
        :raises RollbackIncomplete: part of the environment is not back on its release; trying again resumes it.
        """
        deployment = self.deployment()
        if deployment is None:
            return None
        if deployment.state == DeploymentState.PROMOTED:
            raise self._here(self._settled(deployment))
        if deployment.state == DeploymentState.ROLLED_BACK:
            self.log("Already rolled back; nothing to do.")
            return None
        if taken_over(self, deployment) and deployment.ended_by is not None:
            pipeline, run_id = deployment.ended_by
            if (pipeline, run_id) != (self.pipeline, self.run_id):
                self.log(f"Run {run_id} of {pipeline} has taken the environment over and rolls it back.")
                return None
        with self._located(deployment.release):
            try:
                known = known_reason(deployment)
                given = why if isinstance(why, Why) else Why(RollbackCause.PERSON, why)
                if known is not None and known.cause.vetoes and not given.cause.vetoes:
                    given = known
                return self.restore(deployment, self.overrule(), given)
            except LeaseLost as lost:
                if self.held() is None:
                    raise
                # A dying task of this run has taken a newer token, and may not live to finish.
                raise RollbackIncomplete(
                    f"another task of this run has taken over the rollback from {deployment.release}.",
                    state=self._changes.describe(),
                    next_step="Nothing to do: the next attempt finishes what that task leaves.",
                    away=True,
                ) from lost

    def settle(self, *, restored: Callable[[Deployment], None] | None = None) -> Deployment | None:
        """The end of a run here: restore whatever is neither promoted nor rolled back, then release the lease.

        :param restored: called with a deployment that was restored here, while the run still owns the environment.
        :returns: this run's deployment as it ended, None when it deployed nothing.
        :raises RollbackIncomplete: part of the environment is not back on its release; the lease is kept.
        """
        deployment = self.deployment()
        before = deployment.state if deployment is not None else None
        if deployment is not None and not DeploymentState(deployment.state).final:
            self.log(f"{deployment.release} is neither promoted nor rolled back at the end of the run: restoring.")
            ended = Why(RollbackCause.RUN_ENDED, "the run ended before the release was promoted")
            deployment = await_other(self, deployment)
            why = unfinished_reason(self.ledger, deployment, ended)
            try:
                self.roll_back(why)
            except DeploymentSettled as error:
                if self.require_deployment().state != DeploymentState.PROMOTED:
                    raise
                # Promoted meanwhile, by a process that was faster: then that is how the deployment ended.
                self.log(f"Not restoring: {error.what}")
        try:
            after = self.deployment()
            rolled_back = after is not None and after.state == DeploymentState.ROLLED_BACK and before != after.state
            # Another run, or the guard, may have done it meanwhile: then this one may record nothing about it.
            if after is not None and rolled_back and restored and self.held() is not None:
                restored(after)
            self.let_go(after)
        finally:
            self.release_lease()
        return after

    def let_go(self, deployment: Deployment | None) -> None:
        """Let the target remove what it has kept for the way back, once there is none to go.

        :param deployment: this run's, as it is now; nothing is done while it is not over.
        """
        settled, lease = getattr(self.target, "settled", None), self.held()
        if settled is None or lease is None or deployment is None or not DeploymentState(deployment.state).final:
            return
        try:
            settled(token=lease.token)
        except AirflowCdError as error:
            self.log(f"What was kept for the way back is still there: {error.what}")

    # -- inside ------------------------------------------------------------------------------------------------

    def _before(self, release: Release, *, to_earlier: bool) -> tuple[str | None, dict[str, Release | None]]:
        """Before anything is changed: the id of the deployment that is rolled back, and what each instance runs."""
        if not to_earlier:
            with self._located(release):
                self._refuse_frozen()
        # Checked first: then it is known which of the instances' values are secrets of the release.
        self.check(release)
        instances = self.target.instances()
        last = self.ledger.deployments.last_promoted(self.service, self.environment)
        good = last.release if last is not None else None
        previous = capture(self.service, self.environment, instances, good=good, mixed=to_earlier)
        return (self._replaced(last, release, previous) if to_earlier else None), previous

    def _replaced(self, last: Deployment | None, release: Release, previous: Mapping[str, Release | None]) -> str:
        """Id of the deployment that a rollback to ``release`` undoes: what runs or was left here, or NOTHING."""
        unfinished = self._unfinished()
        if begun := [one.rolls_back for one in unfinished if one.release == release and one.rolls_back]:
            # Another rollback to the same release, which its run did not finish, was to take that back.
            return begun[0]
        if other := [one for one in unfinished if one.release != release]:
            return other[0].id
        if last is not None and last.release != release:
            return last.id if last.release in previous.values() else NOTHING
        if set(previous.values()) == {release}:
            raise DeploymentSettled(
                f"{release} runs here already, on every instance.",
                state="nothing was changed.",
                next_step="Choose another release to go back to.",
            )
        return NOTHING

    def _divide(self, deployment: Deployment, lease: Lease, chosen: Sequence[str], traffic: int | None) -> None:
        """Give what a phase has changed its part of the requests, now that it is healthy."""
        if traffic is None:
            self._changes.undrain(deployment, lease, chosen)
        elif traffic:
            self._changes.restore_traffic(deployment, lease, chosen)
            self._changes.observe()

    def _without_traffic(self, deployment: Deployment) -> Phase | None:
        """The newest phase of a deployment, where it is one in which it gets no requests."""
        newest = self.ledger.phases.of(deployment.id)[-1:]
        return newest[0] if newest and newest[0].traffic == 0 else None

    @contextmanager
    def _blaming(self, deployment: Deployment, lease: Lease) -> Iterator[None]:
        """Record whose fault it is when instances are not as they should be."""
        try:
            yield
        except DeploymentFailed as error:
            why = failure_of(error)
            try:
                self.ledger.settlement.blame(deployment.id, token=lease.token, cause=why.cause, outcome=why.text)
            except LedgerError as away:
                # The rollback that follows then holds nothing against the release.
                self.log(f"Whose fault it is was not recorded: {away.what}")
            raise

"""One verification of a phase: watch the canary, act in the moment of the verdict, record everything."""

from __future__ import annotations

import enum
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_cd.clock import now
from airflow_cd.delivery.bounded_evidence import bounded
from airflow_cd.delivery.delivery import Delivery
from airflow_cd.delivery.keeping import LEASE_TTL, kept
from airflow_cd.delivery.quiet_logs import QuietLogs
from airflow_cd.delivery.sealed_target import without_secrets
from airflow_cd.delivery.sides import SidesNow
from airflow_cd.durations import parse_duration
from airflow_cd.errors import (
    DeploymentSettled,
    LeaseLost,
    LedgerRefused,
    LedgerUnavailable,
    TargetConflict,
    TargetUnavailable,
    VerificationError,
)
from airflow_cd.states import ActionKind, DeploymentState, RollbackCause, RollbackMode
from airflow_cd.verification.samples import Window
from airflow_cd.verification.undecided import points_to_harm
from airflow_cd.verification.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from airflow_cd.ledger import Deployment, Phase
    from airflow_cd.verification.settings import Verification
    from airflow_cd.verification.watch import Outcome

FIRST_WATCHED = 4
"""How many times the duration of a verification is read of a first release, back from the deployment after it."""

OVERRULED = "a person or the end of the run has overruled this verification; its verdict changes nothing."


class Consequence(enum.Enum):
    """What follows from a verdict."""

    GO_ON = enum.auto()
    ROLL_BACK = enum.auto()
    ASK = enum.auto()


def consequence_of(verification: Verification, rollback: str, verdict: Verdict, policy_key: str | None) -> Consequence:
    """What follows from a verdict under the author's and the run's policies.

    :param verification: the author's policies.
    :param rollback: the run's :class:`~airflow_cd.states.RollbackMode`.
    :param verdict: the final one.
    :param policy_key: which policy applies to an INCONCLUSIVE verdict, see
        :class:`~airflow_cd.verification.watch.Outcome`.
    """
    if verdict == Verdict.PASS or verification.advisory:
        return Consequence.GO_ON
    policy = "fail" if verdict == Verdict.FAIL else verification.policy(policy_key or "inconclusive")
    if policy == "pass":
        return Consequence.GO_ON
    # A watch under the policy "wait" has waited by now.
    return Consequence.ASK if policy == "ask" or rollback == RollbackMode.HUMAN else Consequence.ROLL_BACK


@dataclass(frozen=True)
class Conclusion:
    """How a verification ended.

    :param judgement: the verdict with its evidence.
    :param consequence: what follows.
    :param drained: whether the canary was taken out of the traffic.
    :param since: when the watched time began.
    :param recorded: whether the ledger holds the verdict. One that rolls back does not wait for that.
    """

    judgement: Judgement
    consequence: Consequence
    drained: bool
    since: datetime
    recorded: bool = True


class PhaseVerification:
    """One verification of one phase of this run's deployment.

    :param delivery: the environment.
    :param verification: what is watched and how it is judged.
    :param phase: name of the phase.
    :param on_look: called with the judgement so far after every look.
    :raises DeploymentFailed: nothing was deployed.
    :raises DeploymentSettled: the deployment is over.
    :raises VerificationError: the phase has not been deployed.
    """

    def __init__(
        self, delivery: Delivery, verification: Verification, phase: str, *, on_look: Callable[[Judgement], None]
    ) -> None:
        self.delivery = delivery
        self.verification = verification
        self.on_look = on_look
        self.deployment = running_deployment(delivery)
        self.phase = _deployed_phase(delivery, phase)
        self._sides = SidesNow(delivery, self.deployment, self.phase)
        self.canary, self.control = self._sides.at_first()
        self.since = self._watched_since()
        self._touched = delivery.touched(self.deployment)
        self._lease = delivery.lease()
        self._overruled = False
        self._consequence = Consequence.ROLL_BACK
        self._against: Judgement | None = None
        self._drained = False

    def run(self, since: datetime | None = None, *, until: datetime | None = None) -> Conclusion:
        """Watch until the verdict stands; a canary that fails is drained in that moment.

        So is one that is not judged for good while something points to harm.

        :param since: when the watched time begins; by default when the phase was deployed, or later when a canary that
            was drained got its traffic back.
        :param until: when it ends; by default after the duration of the verification.
        The ledger may be away while it watches, and when it decides to roll back.

        :raises VerificationError: somebody has overruled this verification.
        :raises Unavailable: the ledger or the target is away; nothing was decided against the canary.
        """
        self.since = since or self.since
        # The first call opens the connection: trouble shows now, not in the moment when every second counts.
        self.delivery.target.instances()
        try:
            with kept(self.delivery.ledger, self._lease):
                outcome = self._watch(until)
            if self._overruled:
                raise VerificationError(OVERRULED)
            with self._in_a_hurry():
                self._record(outcome.judgement, final=True)
                self._keep_profiles(outcome)
        except (LeaseLost, TargetConflict):
            raise VerificationError(OVERRULED) from None
        except LedgerUnavailable as error:
            if self._against is None:
                raise
            # Nobody can be asked now, and a canary that is drained cannot be verified once more.
            self.delivery.log(f"The verdict is not recorded yet: {error.what}")
            return Conclusion(self._against, Consequence.ROLL_BACK, self._drained, self.since, recorded=False)
        return Conclusion(outcome.judgement, self._consequence, self._drained, self.since)

    def _watch(self, until: datetime | None) -> Outcome:
        from airflow_cd.delivery.learned import log_baseline, metric_baseline, opinions, with_replaced
        from airflow_cd.delivery.watched import earlier_phases, phases_before, read_begins
        from airflow_cd.verification.watch import Watch

        delivery, verification = self.delivery, self.verification
        grace, before = verification.shutdown_grace, phases_before(delivery, self.deployment, self.phase)
        quiet = replace(verification, logs=tuple(QuietLogs(source, delivery.target) for source in verification.logs))
        return Watch(
            quiet,
            canary=self.canary,
            control=self.control,
            sides=self._sides.now,
            replaced=sorted(self.deployment.previous) if self._sides.change else (),
            since=self.since,
            until=until,
            before=self._before(),
            starts=read_begins(delivery, self.deployment, self.phase, before, grace),
            earlier=earlier_phases(delivery, self.deployment, before, grace),
            baselines={
                name: with_replaced(delivery, self.deployment, name, baseline) if self._sides.change else baseline
                for name, baseline in (
                    (source.name, log_baseline(delivery, source.name, verification.baseline))
                    for source in verification.logs
                )
            },
            metric_baselines={source.name: metric_baseline(delivery, source.name) for source in verification.metrics},
            opinions=lambda: opinions(delivery, verification.expectations, verification.error_patterns),
            learn=self.deployment.learn,
            clock=now,
            on_look=self._looked,
            on_verdict=self._judged,
            stop=lambda: self._overruled,
        ).run()

    def _looked(self, judgement: Judgement) -> None:
        try:
            with self.delivery.ledger.quickly():
                self._record(judgement, final=False)
                self.delivery.ledger.leases.renew(self._lease, LEASE_TTL)
        except LeaseLost:
            self._overruled = True
        except LedgerUnavailable as error:
            # Whoever overrules this meanwhile is protected by the target, which knows the newest token.
            self.delivery.log(f"This look is not recorded: {error.what}")
        self.on_look(judgement)

    def _judged(self, judgement: Judgement, policy_key: str | None) -> None:
        self._consequence = consequence_of(self.verification, self.deployment.rollback, judgement.verdict, policy_key)
        if self._consequence is Consequence.GO_ON:
            return
        failed = judgement.verdict == Verdict.FAIL
        if failed or self._consequence is Consequence.ROLL_BACK or points_to_harm(judgement):
            self._against = judgement
        with self._in_a_hurry():
            if self._against is not None:
                self._check_lease()
                self._drain(judgement, failed=failed)
            # Whoever rolls it back, however late, knows whether the release is at fault.
            self.delivery.ledger.settlement.blame(
                self.deployment.id,
                token=self._lease.token,
                cause=RollbackCause.FAILED if failed else RollbackCause.INCONCLUSIVE,
                outcome=judgement.sentence,
            )

    def _in_a_hurry(self) -> AbstractContextManager[None]:
        """Whoever has decided against the canary does not wait for the ledger: the rollback has better to do."""
        return self.delivery.ledger.quickly() if self._against is not None else nullcontext()

    def _check_lease(self) -> None:
        """Raise when another run or person has overruled this verification, as far as the ledger can say it now."""
        try:
            self.delivery.ledger.leases.check(self._lease)
        except LedgerUnavailable as error:
            self.delivery.log(f"Draining without the ledger: {error.what}")

    def _drain(self, judgement: Judgement, *, failed: bool) -> None:
        try:
            self._drained = self.delivery.drain(self._lease, self.deployment, self._touched)
        except TargetUnavailable as error:
            self.delivery.log(f"The canary is not drained: {error}")
            if failed:
                # The rollback drains it too, and tries again; nobody is asked about a bad canary that gets requests.
                self._consequence = Consequence.ROLL_BACK
        decided = datetime.fromisoformat(judgement.decided) if judgement.decided else now()
        first_bad = datetime.fromisoformat(judgement.first_bad) if judgement.first_bad else None
        self.delivery.ledger.deployments.set_clock(self.deployment.id, verdict_at=decided, first_bad_at=first_bad)

    def _record(self, judgement: Judgement, *, final: bool) -> None:
        self.delivery.ledger.verdicts.record(
            self.deployment.id,
            self.phase.name,
            token=self._lease.token,
            verdict=str(judgement.verdict),
            evidence=self.evidence(judgement),
            final=final,
        )

    def evidence(self, judgement: Judgement) -> dict[str, Any]:
        """A judgement as it is kept, in the ledger or beside it.

        :param judgement: of this verification.
        """
        # A service that logs its own password must not have it kept.
        return bounded(without_secrets(judgement.as_dict(), self.delivery.target.redact.known))

    @property
    def token(self) -> int:
        """Fencing token under which it drains."""
        return self._lease.token

    def _keep_profiles(self, outcome: Outcome) -> None:
        passed = outcome.judgement.verdict == Verdict.PASS
        phase = self.phase.name
        for source, profile in outcome.profiles.items():
            self._keep(phase, "logs", source, profile.to_bytes(), teaches=passed)
        for source, profile in outcome.running.items():
            self._keep(phase, "control", source, profile.without_instances().to_bytes(), teaches=False)
        for source, normal in outcome.metric_profiles.items():
            self._keep(phase, "metrics", source, normal.to_bytes(), teaches=passed)
        if not outcome.earlier or self._consequence is Consequence.ASK:
            return  # a watch that follows must find again what came late of earlier phases
        taught = {
            (one.phase, one.source) for one in self.delivery.ledger.profiles.of(self.deployment.id) if one.teaches
        }
        for earlier, completed in outcome.earlier.items():
            # A later phase must not count again what has come late of an earlier one by now.
            for source, profile in completed.items():
                teaches = self._consequence is Consequence.GO_ON and (earlier, source) in taught
                self._keep(earlier, "logs", source, profile.to_bytes(), teaches=teaches)

    def _keep(self, phase: str, kind: str, source: str, content: bytes, *, teaches: bool) -> None:
        try:
            self.delivery.ledger.profiles.save(
                self.deployment.id, phase, source, kind=kind, content=content, teaches=teaches, token=self._lease.token
            )
        except LeaseLost:
            raise
        except LedgerRefused as error:
            # The verdict stands without what could have been learned.
            self.delivery.log(f"Nothing is learned from {source}: {error.what}")

    def _watched_since(self) -> datetime:
        deployed = self.phase.deployed_at or now()
        actions = self.delivery.ledger.actions.of(self.deployment.id)
        restored = [one.ended_at for one in actions if one.kind == ActionKind.RESTORE and one.ok and one.ended_at]
        return max([deployed, *restored])

    def _before(self) -> Window | None:
        """A time when the environment ran the release before and nothing else; None if there was none."""
        deployment = self.deployment
        if all(release is None for release in deployment.previous.values()):
            return None
        length = parse_duration(self.verification.duration)
        deployments = self.delivery.ledger.deployments
        last = deployments.last_promoted(deployment.service, deployment.environment)
        # A first release was not watched: what it has shown since it was promoted is all that is known of it.
        since = deployment.opened_at - length * (FIRST_WATCHED if last is not None and last.first else 1)
        # What a canary that was rolled back has logged is no reason to know it.
        for earlier in deployments.matching(deployment.service, deployment.environment, limit=2):
            settled = earlier.settled_at if earlier.id != deployment.id else None
            since = max(since, settled) if settled is not None else since
        return Window(since, deployment.opened_at) if since < deployment.opened_at else None


def undecided(delivery: Delivery, deployment: Deployment, phase: str) -> Judgement | None:
    """The last final verdict on a phase, if that is INCONCLUSIVE; None for any other, and without one.

    :param delivery: the environment.
    :param deployment: the run's.
    :param phase: name of the phase.
    """
    final = [one for one in delivery.ledger.verdicts.of(deployment.id, phase) if one.final]
    if not final or final[-1].verdict != Verdict.INCONCLUSIVE:
        return None
    return Judgement.from_dict(final[-1].evidence)


def running_deployment(delivery: Delivery) -> Deployment:
    """The run's deployment, which nothing has ended yet.

    :raises DeploymentFailed: nothing was deployed.
    :raises DeploymentSettled: it is over.
    """
    deployment = delivery.require_deployment()
    if deployment.state != DeploymentState.RUNNING:
        outcome = f" ({deployment.outcome})" if deployment.outcome else ""
        raise DeploymentSettled(
            f"this run's deployment is over: {deployment.state.replace('_', ' ')}{outcome}.",
            release=str(deployment.release),
        )
    return deployment


def _deployed_phase(delivery: Delivery, name: str) -> Phase:
    phase = delivery.phase(name)
    if phase is None or phase.deployed_at is None:
        raise VerificationError(f"phase {name!r} has not been deployed by this run.")
    return phase

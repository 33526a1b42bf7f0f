"""A rollback that a person asks for: it goes from what ran when it was asked for, however late it begins.

Whatever was deployed since then nobody has seen when they asked, so nothing of it is taken back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_cd.delivery.causes import Why, known_reason, unfinished_reason
from airflow_cd.errors import AirflowCdError, DeploymentSettled, LeaseLost, LedgerRefused
from airflow_cd.states import DeploymentState, RollbackCause

if TYPE_CHECKING:
    from airflow_cd.delivery.delivery import Delivery
    from airflow_cd.ledger import Deployment, Lease
    from airflow_cd.ledger.records import GoodRelease
    from airflow_cd.release import Release


@dataclass(frozen=True)
class Seen:
    """What the person saw who asked for a rollback, and what has become of it.

    :param deployment: what ran there, or was under way, when the rollback was asked for; None when nothing did.
    :param newer: what was deployed since, and is there now; None without it.
    """

    deployment: Deployment | None
    newer: Deployment | None

    @property
    def under_way(self) -> Deployment | None:
        """The deployment that was under way, while it is neither promoted nor rolled back."""
        found = self.deployment
        return found if found is not None and not DeploymentState(found.state).final else None

    @property
    def gone(self) -> Deployment | None:
        """What was there, where it has been rolled back since."""
        found = self.deployment
        return found if found is not None and found.state == DeploymentState.ROLLED_BACK else None


def seen(delivery: Delivery) -> Seen:
    """What was there when the run was asked for.

    :param delivery: the environment, in the hands of the run that goes back.
    """
    asked = delivery.asked_at()
    deployments = delivery.ledger.deployments
    there = deployments.at(delivery.service, delivery.environment, asked)
    newest = deployments.unsettled(delivery.service, delivery.environment)[:1]
    last = deployments.last_promoted(delivery.service, delivery.environment)
    mine = (delivery.pipeline, delivery.run_id)
    candidates = [one for one in (*newest, last) if one is not None and (one.pipeline, one.run_id) != mine]
    newer = next((one for one in candidates if one.opened_at > asked), None)
    return Seen(there, newer)


def require_release(delivery: Delivery, wanted: str) -> None:
    """Refuse a release that cannot be gone back to, before anything is stopped for it.

    :param delivery: the environment.
    :param wanted: as of :func:`go_back`.
    :raises LedgerRefused: there is no such release.
    :raises ReleaseVetoed: the release was rolled back here.
    """
    if wanted and delivery.deployment() is None:
        delivery.refuse_vetoed(_fitting(_good(delivery, wanted), wanted))


def stop(delivery: Delivery, lease: Lease, *, who: str, why: str) -> None:
    """Stop what was under way when the rollback was asked for, and take it out of the traffic, at once.

    From here on it cannot be promoted. What cannot be drained now is drained, and restored, by what follows.

    :param delivery: the environment.
    :param lease: of the run that goes back.
    :param who: name of the person, ``""`` when unknown.
    :param why: the person's reason.
    """
    deployment = seen(delivery).under_way
    if deployment is None or deployment.rolls_back is not None:
        return
    ledger, reason = delivery.ledger, _why(deployment, who, why)
    ledger.settlement.begin_rollback(deployment.id, token=lease.token, outcome=reason.text, cause=reason.cause)
    ledger.deployments.set_clock(deployment.id, verdict_at=delivery.asked_at())
    delivery.log(f"Stopped {deployment.release} of run {deployment.run_id} of {deployment.pipeline}.")
    try:
        delivery.drain(lease, deployment, delivery.touched(deployment))
    except LeaseLost:
        raise
    except AirflowCdError as error:
        delivery.log(f"Not drained yet: {error}")


def go_back(delivery: Delivery, wanted: str, *, who: str, why: str) -> Deployment:
    """Bring the environment back, from what ran when it was asked for.

    What was under way then is stopped and restored to what ran before it. What was promoted by then gives way to the
    last good release before it. A release that is named is what runs afterwards, in both cases.

    :param delivery: the environment, in the hands of the run that goes back.
    :param wanted: version, or the beginning of the digest, of a release that was good there; ``""`` for the one
        before, which may be what ran before the first deployment.
    :param who: name of the person, ``""`` when unknown.
    :param why: the person's reason.
    :returns: the deployment that was rolled back to, or the one that was stopped or is gone already.
    :raises LedgerRefused: there is no such release.
    :raises DeploymentSettled: something was deployed after the rollback was asked for, or the release runs already.
    :raises ReleaseVetoed: the release was rolled back here.
    :raises RollbackIncomplete: the release does not run on every instance yet.
    """
    begun = delivery.deployment()
    if begun is not None:
        return delivery.roll_back_to(begun.release, why, who=who)
    found = seen(delivery)
    lease = delivery.take()
    stop(delivery, lease, who=who, why=why)
    good = _good(delivery, wanted)
    if found.under_way is not None and found.under_way.rolls_back is None:
        return _restored(delivery, found.under_way, good, lease, wanted, who=who, why=why)
    if found.gone is not None and not wanted:
        delivery.log(f"{found.gone.release} has been rolled back since it was asked for: {found.gone.outcome}")
        return found.gone
    if found.newer is not None:
        if not DeploymentState(found.newer.state).final:
            died = Why(RollbackCause.FAULT, "the run that owned the environment died and left it unfinished")
            delivery.restore(found.newer, lease, unfinished_reason(delivery.ledger, found.newer, died))
        raise _nobody_saw(found)
    if found.under_way is not None and not wanted:
        # Another person's rollback, which its run did not finish: that one goes on.
        return delivery.roll_back_to(found.under_way.release, why, who=who)
    return delivery.roll_back_to(_chosen(good, found, wanted), why, who=who)


def finish(delivery: Delivery) -> Deployment | None:
    """At the end of a run that goes back: finish what it has begun.

    :param delivery: the environment.
    :returns: what it has rolled back, or what had been rolled back before it came to it; None when it did nothing.
    :raises RollbackIncomplete: the environment is not back on its release yet.
    """
    stopped = delivery.ledger.deployments.ended_by(
        delivery.pipeline, delivery.run_id, delivery.service, delivery.environment
    )
    if stopped is None:
        return seen(delivery).gone
    if not DeploymentState(stopped.state).final:
        lease = delivery.take()
        delivery.restore(stopped, lease, _why(stopped, "", ""))
    return delivery.ledger.deployments.get(stopped.id)


def await_other(
    delivery: Delivery, deployment: Deployment, *, sleep: Callable[[float], None] = time.sleep
) -> Deployment:
    """Let a run that goes back finish what it has taken over from this one.

    :param delivery: the environment, in the hands of the run whose deployment it was.
    :param deployment: of this run.
    :param sleep: called with seconds to wait.
    :returns: the deployment as it is when that run is done, has given up, or takes longer than instances may take.
    """
    waited, limit = 0.0, delivery.timeout.total_seconds()
    while taken_over(delivery, deployment) and waited < limit:
        sleep(1.0)
        waited += 1.0
        deployment = delivery.ledger.deployments.get(deployment.id)
    return deployment


def taken_over(delivery: Delivery, deployment: Deployment) -> bool:
    """Whether another run is rolling the deployment back at this moment.

    :param delivery: the environment.
    :param deployment: of this run.
    """
    if deployment.ended_by is None or DeploymentState(deployment.state).final:
        return False
    owner = delivery.ledger.leases.current(delivery.service, delivery.environment)
    return owner is not None and (owner.pipeline, owner.run_id) == deployment.ended_by


def _restored(
    delivery: Delivery,
    stopped: Deployment,
    good: list[GoodRelease],
    lease: Lease,
    wanted: str,
    *,
    who: str,
    why: str,
) -> Deployment:
    if wanted:
        release = _fitting(good, wanted)
        if set(stopped.previous.values()) != {release}:
            return delivery.roll_back_to(release, why, who=who)
    delivery.restore(stopped, lease, _why(stopped, who, why))
    return delivery.ledger.deployments.get(stopped.id)


def _good(delivery: Delivery, wanted: str) -> list[GoodRelease]:
    # A release that is asked for by name may be older than those that are offered.
    limit = 100 if wanted else 10
    return delivery.ledger.deployments.good_releases(delivery.service, delivery.environment, limit=limit)


def _chosen(good: list[GoodRelease], found: Seen, wanted: str) -> Release:
    if wanted:
        return _fitting(good, wanted)
    ran = found.deployment.release if found.deployment is not None else None
    fitting = [one.release for one in good if one.release != ran and not one.vetoed]
    if ran is None or not fitting:
        raise _no_release(f"there is no release to go back to: {_why_none(good, ran)}", good)
    return fitting[0]


def _why_none(good: list[GoodRelease], ran: Release | None) -> str:
    if not good:
        return "none was ever promoted here"
    if ran is None:
        return "nothing ran here when this rollback was asked for"
    if any(one.release != ran for one in good):
        return "every other one is vetoed"
    return "only one was promoted here, and before the first deployment nothing ran, or not the same on every instance"


def _fitting(good: list[GoodRelease], wanted: str) -> Release:
    name = wanted.removeprefix("sha256:")
    for one in good:
        # Where several have the version, the one that was promoted last.
        if name == one.release.version or one.release.digest[7:].startswith(name):
            return one.release
    raise _no_release(f"no release {wanted} was promoted here", good)


def _no_release(what: str, good: list[GoodRelease]) -> LedgerRefused:
    known = ", ".join(map(_known, good[:10])) or "none"
    return LedgerRefused(
        f"{what}; good releases, starting with the one that runs: {known}.",
        state="nothing was changed.",
        next_step="Choose one of them by its version or digest, or deploy another through the pipeline.",
    )


def _known(one: GoodRelease) -> str:
    before = ", which ran before the first deployment" if one.taken_over else ""
    return f"{one.release}{before}{' (vetoed)' if one.vetoed else ''}"


def _nobody_saw(found: Seen) -> DeploymentSettled:
    newer = found.newer
    assert newer is not None  # noqa: S101 - asked for by the caller
    ran = f"{found.deployment.release} ran" if found.deployment is not None else "nothing ran"
    return DeploymentSettled(
        f"{ran} here when this rollback was asked for; run {newer.run_id} of {newer.pipeline} has deployed "
        f"{newer.release} since, at {newer.opened_at:%Y-%m-%d %H:%M:%S} UTC.",
        release=str(newer.release),
        state="nothing was changed: a rollback takes back nothing that was not there when it was asked for.",
        next_step="Look at what runs now; to take that back, ask for a rollback again.",
    )


def _why(deployment: Deployment, who: str, why: str) -> Why:
    """The reason: what is held against the release already, and else that a person asked for it."""
    known = known_reason(deployment)
    if known is not None and known.cause.vetoes:
        return known
    return Why(RollbackCause.PERSON, f"{who or 'somebody'} rolled it back{': ' + why if why else ''}")

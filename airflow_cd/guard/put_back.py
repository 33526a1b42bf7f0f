"""Whether somebody else runs again what was rolled back, or something else than was promoted: a person is told, once.

Nothing is done about it. It is somebody's own deployment, by kubectl, a GitOps tool or a console, and who it was knows
why; rolling it back as well would be a contest with a tool.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_cd.clock import now
from airflow_cd.delivery.sealed_target import SealedTarget
from airflow_cd.errors import AirflowCdError
from airflow_cd.guard.finishing import reach
from airflow_cd.release import Release, most_common
from airflow_cd.states import DeploymentState, FindingState, StuckCause
from airflow_cd.wording import first_of

if TYPE_CHECKING:
    from airflow_cd.instances import Instance
    from airflow_cd.ledger import Deployment, Finding, Ledger
    from airflow_cd.ledger.records import Claim
    from airflow_cd.targets.base import Target

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two reads of an environment whose last deployment was rolled back, or was a rollback, at least."""
PROMOTED_EVERY = 300.0
"""The same of one whose last deployment was promoted: these are most of all."""
LISTED_EVERY = 10.0
"""Seconds between two looks for environments that are to be read."""
PROMOTED_LISTED_EVERY = 60.0
KNOWN = 20
"""Deployments back that what runs is compared with, to be called by its version."""
AT_A_TIME = 4
"""Environments that are read at a time; those that have to be restored wait for none of them."""

Place = tuple[str, str]


class PutBack:
    """Watches environments whose last deployment is over.

    :param ledger: the ledger.
    :param page: tells a person, as :func:`airflow_cd.paging.page` does.
    :param clock: returns seconds that never go backwards.
    """

    def __init__(self, ledger: Ledger, page: Callable[..., None], clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._page = page
        self._clock = clock
        self._pool = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="guard-put-back")
        self._reading: dict[Place, Future[None]] = {}
        self._read_at: dict[Place, float] = {}
        self._listed = self._promoted_listed = float("-inf")
        self._promoted: list[Deployment] = []

    def look(self, token: int) -> None:
        """Begin to read what has not been read for some time; returns at once.

        :param token: of the acting guard.
        :raises LedgerError: the ledger is away.
        """
        if self._clock() - self._listed < LISTED_EVERY:
            return
        self._listed = self._clock()
        if self._clock() - self._promoted_listed >= PROMOTED_LISTED_EVERY:
            self._promoted, self._promoted_listed = self._ledger.guarding.promoted(), self._clock()
        # What was rolled back since the promoted ones were listed is the newer one.
        last = [*self._promoted, *self._ledger.guarding.rolled_back()]
        watched = {(one.service, one.environment): one for one in sorted(last, key=lambda one: one.opened_at)}
        self._end(
            (
                finding
                for finding in self._ledger.guarding.put_back()
                if (one := watched.get((finding.service, finding.environment))) is None
                or one.id != finding.deployment_id
            ),
            "Another deployment has followed.",
        )
        self._reading = {place: future for place, future in self._reading.items() if not future.done()}
        self._read_at = {place: at for place, at in self._read_at.items() if place in watched}
        for place, deployment in watched.items():
            every = EVERY if _went_back(deployment) else PROMOTED_EVERY
            if place in self._reading or self._clock() - self._read_at.get(place, float("-inf")) < every:
                continue
            self._read_at[place] = self._clock()
            self._reading[place] = self._pool.submit(self._look_at, deployment, token)

    def wait(self) -> None:
        """Return when nothing is being read any more."""
        for future in list(self._reading.values()):
            future.result()

    def close(self) -> None:
        """Begin no more reads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- one environment -----------------------------------------------------------------------------------------

    def _look_at(self, deployment: Deployment, token: int) -> None:
        where = f"{deployment.environment} of {deployment.service}"
        try:
            self._compare(deployment, token)
        except AirflowCdError as error:
            log.info("Whether what is to run in %s runs there is unknown: %s", where, error)
        except Exception:
            log.exception("%s was not read", where)

    def _compare(self, deployment: Deployment, token: int) -> None:
        guarding, place = self._ledger.guarding, (deployment.service, deployment.environment)
        told = guarding.put_back(*place)
        bad = self._unwanted(deployment) if _went_back(deployment) else []
        if _went_back(deployment) and not bad:
            self._end(told, "A person has allowed it again.")
            return
        work = self._ledger.work.of_claims({_claim(deployment)}).get(_claim(deployment))
        if work is None or work.target is None:
            return
        target = reach(work)
        instances = self._read(target, deployment)
        if _went_back(deployment):
            found = run_again(instances, bad, instead_of=wanted(deployment))
        else:
            found = run_instead(instances, deployment.release, self._known(deployment))
        if self._under_way(deployment):
            return  # what was read may be what another run has just begun
        if bool(found) != bool(told):
            self._ledger.instances.record(*place, instances, now())
        if not found:
            self._end(told, "It does not run there any more.")
        elif not told:
            self._tell(deployment, found, _changed_by(target), token)

    def _end(self, told: Iterable[Finding], outcome: str) -> None:
        for finding in told:
            self._ledger.guarding.ended(finding.number, FindingState.OVER, outcome)

    def _read(self, target: Target, deployment: Deployment) -> list[Instance]:
        """What runs, with references in the place of secrets, as releases in the ledger have them."""
        return SealedTarget(
            target, self._ledger, service=deployment.service, environment=deployment.environment, log=log.info
        ).instances()

    def _unwanted(self, deployment: Deployment) -> list[Release]:
        """What must not run there: vetoed, or rolled back last, but for what a person has allowed since."""
        vetoes = self._ledger.vetoes.of(deployment.service, deployment.environment)
        in_force = {one.digest: one for one in vetoes if one.lifted_at is None}
        lifted = {one.digest for one in vetoes} - in_force.keys()
        found = {digest: self._ledger.deployments.get(one.deployment_id).release for digest, one in in_force.items()}
        last = deployment.release
        if deployment.state == DeploymentState.ROLLED_BACK and last.digest not in lifted:
            found.setdefault(last.digest, last)
        good = wanted(deployment)
        return [one for one in found.values() if good is None or one.digest != good.digest]

    def _known(self, deployment: Deployment) -> list[Release]:
        """What has run there, the newest first."""
        last = self._ledger.deployments.matching(deployment.service, deployment.environment, limit=KNOWN)
        found = [release for one in last for release in (one.release, *one.previous.values()) if release is not None]
        return list({one.digest: one for one in found}.values())

    def _under_way(self, deployment: Deployment) -> bool:
        """Whether a run has the environment, or has deployed there since."""
        place = (deployment.service, deployment.environment)
        lease = self._ledger.leases.current(*place)
        newest = self._ledger.deployments.matching(*place, limit=1)
        return (lease is not None and lease.run_id is not None) or [one.id for one in newest] != [deployment.id]

    def _tell(
        self, deployment: Deployment, found: Sequence[tuple[Release, Sequence[str]]], who: str, token: int
    ) -> None:
        cause, detail, next_step = _words(deployment, found)
        detail += f" ({who.rstrip('.')})" if who else ""
        told = self._ledger.guarding.tell_put_back(
            _claim(deployment),
            deployment_id=deployment.id,
            detail=detail,
            outcome="A person was told; nothing was changed.",
            token=token,
            cause=cause,
        )
        if told is not None:
            log.warning("%s of %s: %s", deployment.environment, deployment.service, detail)
            self._page(
                f"In {deployment.environment} {detail}. Nothing was changed: it is somebody else's deployment. "
                f"{next_step}",
                service=deployment.service,
                environment=deployment.environment,
                pipeline=deployment.pipeline,
                run=deployment.run_id,
            )


def wanted(deployment: Deployment) -> Release | None:
    """What an environment should run after a deployment that was rolled back, or was itself a rollback.

    :param deployment: the last one there.
    """
    if deployment.state == DeploymentState.ROLLED_BACK:
        return most_common(deployment.previous.values())
    return deployment.release


def run_again(
    instances: Iterable[Instance], bad: Sequence[Release], *, instead_of: Release | None
) -> list[tuple[Release, list[str]]]:
    """Which releases that were rolled back run, each with the names of its instances.

    Who puts an artifact back by hand seldom puts the configuration of its release back with it: another artifact than
    the good one is known by itself, the same one by its configuration.

    :param instances: as they were read.
    :param bad: the releases that were rolled back, the newest first.
    :param instead_of: what should run; None for nothing.
    """
    found: dict[str, tuple[Release, list[str]]] = {}
    other = [one for one in bad if instead_of is None or one.artifact != instead_of.artifact]
    for instance in instances:
        exactly = (one for one in bad if instance.runs(one))
        release = next(exactly, None) or next((one for one in other if one.artifact == instance.artifact), None)
        if release is not None:
            found.setdefault(release.digest, (release, []))[1].append(instance.name)
    return list(found.values())


def run_instead(
    instances: Iterable[Instance], promoted: Release, known: Sequence[Release]
) -> list[tuple[Release, list[str]]]:
    """Which releases run in the place of what was promoted, each with the names of its instances.

    Another artifact does by itself. The same one with another configuration does where that is an earlier release's:
    who puts that back puts all of it back.

    :param instances: as they were read; those that run nothing are left out.
    :param promoted: the release that was promoted last.
    :param known: what has run there, the newest first.
    """
    found: dict[str, tuple[Release, list[str]]] = {}
    for one in instances:
        if one.artifact is None or one.runs(promoted):
            continue
        earlier = [release for release in known if release.artifact == one.artifact]
        exactly = next((release for release in earlier if one.runs(release)), None)
        if exactly is None and one.artifact == promoted.artifact:
            continue
        unknown = Release(promoted.service, one.version or one.artifact, one.artifact, dict(one.configuration))
        release = exactly or next(iter(earlier), unknown)
        found.setdefault(release.digest, (release, []))[1].append(one.name)
    return list(found.values())


def _went_back(deployment: Deployment) -> bool:
    return deployment.state == DeploymentState.ROLLED_BACK or deployment.rolls_back is not None


def _words(deployment: Deployment, found: Sequence[tuple[Release, Sequence[str]]]) -> tuple[StuckCause, str, str]:
    """What is told: its kind, the fact without its full stop, and what to do."""
    again = " again" if _went_back(deployment) else ""
    what = " and ".join(f"{release} runs{again} on {first_of(names, 3)}" for release, names in found)
    if again:
        fact = f"{what}: it was rolled back here, and no run of Airflow CD has deployed it since"
        back = (
            "Take it back where it came from, roll the environment back on its page, or lift the veto if it is meant."
        )
        return StuckCause.PUT_BACK, fact, back
    fact = (
        f"{what}, in the place of {deployment.release}, which was promoted here; no run of Airflow CD has deployed it"
    )
    meant = "If it is meant, deploy it too, or roll the environment back to it on its page"
    return StuckCause.REPLACED, f"{fact} since", f"{meant}; if not, deploy {deployment.release} again."


def _changed_by(target: Target) -> str:
    """Who has changed what the environment was given, where its platform says it."""
    ask = getattr(target, "changed_by", None)
    try:
        return str(ask()) if ask is not None else ""
    except AirflowCdError as error:
        log.info("Who it was is unknown: %s", error)
        return ""


def _claim(deployment: Deployment) -> Claim:
    return deployment.service, deployment.environment, deployment.pipeline, deployment.run_id

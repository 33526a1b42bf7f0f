"""What a rollback needs when the ledger is away: handed over before anything is touched, beside the ledger."""

from __future__ import annotations

import functools
import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.clock import now
from airflow_cd.delivery.asking import ask_until_healthy
from airflow_cd.delivery.division import division_of
from airflow_cd.delivery.draining import are_out
from airflow_cd.delivery.sealed_target import SealedTarget
from airflow_cd.errors import ReleaseError, RollbackIncomplete
from airflow_cd.instances import Track
from airflow_cd.release import Release
from airflow_cd.targets.rollout import Wanted, differences, left_over, wait_until

if TYPE_CHECKING:
    from airflow_cd.targets.base import Target


@dataclass(frozen=True)
class Handover:
    """What a deployment is about to touch, and what to return to.

    :param deployment_id: the deployment.
    :param release: what is deployed.
    :param previous: by instance, the release it is to return to; None where it was empty.
    :param touched: names of the instances, or the tracks of replicas, that the deployment may have changed.
    :param token: fencing token under which it works: a target refuses it once a newer one has been used.
    """

    deployment_id: str
    release: Release
    previous: Mapping[str, Release | None]
    touched: Sequence[str]
    token: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, which :meth:`from_dict` reads."""
        return {
            "deployment_id": self.deployment_id,
            "release": self.release.as_dict(),
            "previous": {name: old.as_dict() if old else None for name, old in self.previous.items()},
            "touched": [str(unit) for unit in self.touched],
            "token": self.token,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Handover:
        """The handover that was written by :meth:`as_dict`.

        :raises ReleaseError: it cannot be read, or was tampered with.
        """
        try:
            read = cls(
                deployment_id=str(content["deployment_id"]),
                release=Release.from_dict(content["release"]),
                previous={name: Release.from_dict(old) if old else None for name, old in content["previous"].items()},
                touched=tuple(content["touched"]),
                token=int(content["token"]),
            )
            unknown = [unit for unit in read.touched if unit not in read.previous and unit not in list(Track)]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ReleaseError(f"what a deploy has handed over cannot be read: {error}.") from error
        if unknown:
            raise ReleaseError(f"what a deploy has handed over does not say to what {unknown[0]!r} is to return.")
        return read


@dataclass(frozen=True)
class Unrecorded:
    """What was done while the ledger was away.

    :param began_at: when it was begun.
    :param safe_at: when no request reached the release any more.
    :param restored_at: when every instance ran what it ran before, read back.
    """

    began_at: datetime
    safe_at: datetime
    restored_at: datetime


def restore_unrecorded(
    target: Target, handover: Handover, *, environment: str, timeout: timedelta, log: Callable[[str], None]
) -> Unrecorded:
    """Take the release out of the traffic and bring its instances back, without the ledger; may be repeated.

    :param target: the environment.
    :param handover: what was touched, and what to return to.
    :param environment: its name.
    :param timeout: how long instances may take to come up healthy.
    :param log: called with one line at a time.
    :raises TargetConflict: somebody with a newer token is at work.
    :raises TargetError: the target refused, or does not answer.
    :raises DeploymentFailed: instances did not come up on what they ran before.
    :raises RollbackIncomplete: they do not run it all the same.
    """
    divided, touched = division_of(target), list(handover.touched)
    steps = divided.back(handover.previous, touched)
    began_at = now()
    service = handover.release.service
    sealed = SealedTarget(target, None, service=service, environment=environment, log=log)
    key = f"{handover.deployment_id}-unrecorded-{uuid.uuid4().hex[:8]}"
    # Where no other instance could carry the traffic, or a drain does not keep it away, it is safe when it is restored.
    safe_at = None
    if divided.carried(handover.previous, touched):
        sealed.drain(touched, key=f"{key}-drain", token=handover.token)
        drained_at = now()
        if are_out(sealed, touched):
            log(f"Drained {', '.join(touched)} without the ledger: no request reaches the release any more.")
            safe_at = drained_at
    numbers = itertools.count()

    def give_back(wanted: Wanted) -> None:
        for release in dict.fromkeys(wanted.values()):
            units = [unit for unit, old in wanted.items() if old == release]
            sealed.give_back(release, units, key=f"{key}-{next(numbers)}", token=handover.token)

    for wanted in steps:
        ask_until_healthy(sealed, wanted, functools.partial(give_back, wanted), timeout=timeout, log=log)
    recovering = divided.recovering(handover.previous, touched)
    if recovering:
        wait_until(sealed, recovering, timeout=timeout)
    drained = {one.unit for one in sealed.instances() if one.drained} & set(touched)
    if undrained := sorted(touched if recovering else drained):
        sealed.restore(undrained, key=f"{key}-restore", token=handover.token)
    wanted = {unit: old for step_wanted in (recovering, *steps) for unit, old in step_wanted.items()}
    instances = sealed.instances()
    left = left_over(instances, handover.release, handover.previous.values(), wanted)
    if wrong := [*differences(instances, wanted), *left]:
        raise RollbackIncomplete(f"the rollback from {handover.release} could not finish: {'; '.join(wrong)}.")
    log(f"Restored {', '.join(touched)} without the ledger, which is told when it is back.")
    restored_at = now()
    return Unrecorded(began_at, safe_at or restored_at, restored_at)

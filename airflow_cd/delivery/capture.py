"""What is there before anything is changed: which release to return to, and which instances a phase takes."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_cd.errors import DeploymentFailed, PipelineError, TargetRejected
from airflow_cd.release import Release
from airflow_cd.targets.base import Instance


def share_of(share: int, total: int) -> int:
    """How many instances a share is, halves rounded up.

    :param share: percent, from 1 to 100.
    :param total: number of instances of the environment.
    :raises PipelineError: it is none: a phase without instances verifies nothing.
    """
    count = int(share * total / 100 + 0.5)
    if count == 0:
        least = next(percent for percent in range(1, 101) if int(percent * total / 100 + 0.5))
        what = f"a phase of {share} % of {total} instances has no instance at all; use {least} % or more"
        raise PipelineError([what])
    return count


def choose_instances(names: Sequence[str], share: int, already: Sequence[str] = ()) -> list[str]:
    """The instances of a phase: those of earlier phases, and the first others by name up to the share.

    :param names: every instance of the environment.
    :param share: percent of them.
    :param already: those that have the release since an earlier phase; they are never taken out again.
    :raises PipelineError: the share is no instance at all.
    """
    count = share_of(share, len(names))
    chosen = [name for name in sorted(names) if name in set(already)]
    chosen += [name for name in sorted(names) if name not in set(already)]
    return sorted(chosen[: max(count, len(already))])


def capture(
    service: str, environment: str, instances: Sequence[Instance], *, good: Release | None, mixed: bool = False
) -> dict[str, Release | None]:
    """The release each instance is to return to, whole, as read from the target.

    :param service: name of the service, for the releases.
    :param environment: name of the environment, for errors.
    :param instances: as the target has just listed them.
    :param good: the release last promoted here, if any; what an instance returns to that runs something else than
        the rest, which is what a deployment past Airflow CD leaves behind.
    :param mixed: accept several releases as they are: a person who rolls back must not be kept from it by that.
    :returns: by name of the instance; None where it is empty.
    :raises TargetRejected: there is no instance.
    :raises DeploymentFailed: the environment is on several releases and none of them is known to be good.
    """
    if not instances:
        raise TargetRejected(
            "the environment has no instances.",
            environment=environment,
            state="nothing was changed.",
            next_step="Check the connection and the name of the environment at the target.",
        )
    found: dict[str, Release | None] = {
        instance.name: None
        if instance.artifact is None
        else Release(service, instance.version or instance.artifact, instance.artifact, dict(instance.configuration))
        for instance in instances
    }
    distinct = set(found.values())
    if len(distinct) == 1 or mixed:
        return found
    if good is None or good not in distinct:
        running = ", ".join(f"{name}: {release or 'nothing'}" for name, release in sorted(found.items()))
        raise DeploymentFailed(
            "the environment is on several releases and none of them is known to be good, so there would be nothing "
            "whole to roll back to.",
            environment=environment,
            instances=sorted(found),
            state=f"nothing was changed; {running}.",
            next_step="Bring every instance to one release at the target, then start again.",
        )
    return dict.fromkeys(found, good)

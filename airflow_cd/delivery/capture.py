"""What is there before anything is touched: which release to return to, and which instances a phase takes."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_cd.errors import DeploymentFailed, PipelineError, TargetError
from airflow_cd.release import Release
from airflow_cd.targets.base import HEALTHY, Instance


def share_of(share: int, total: int) -> int:
    """How many of ``total`` instances a share in percent is, halves rounded up.

    Raises :class:`PipelineError` when that is none: a phase that touches nothing verifies nothing.
    """
    count = int(share * total / 100 + 0.5)
    if count == 0:
        least = next(percent for percent in range(1, 101) if int(percent * total / 100 + 0.5))
        raise PipelineError([f"a phase of {share} % of {total} instances is no instance at all; use {least} % or more"])
    return count


def choose_instances(names: Sequence[str], share: int, already: Sequence[str] = ()) -> list[str]:
    """The instances of a phase: those of earlier phases, and the first others by name up to the share."""
    count = share_of(share, len(names))
    chosen = [name for name in sorted(names) if name in set(already)]
    chosen += [name for name in sorted(names) if name not in set(already)]
    return sorted(chosen[: max(count, len(already))])


def capture(
    service: str, environment: str, instances: Sequence[Instance], *, good: Release | None, mixed: bool = False
) -> dict[str, Release | None]:
    """The release each instance is to return to, whole, as read from the target.

    :param good: the release last promoted here, if any; what an instance returns to that runs something else
        than the rest, which is what a deployment past this system leaves behind.
    :param mixed: take several releases as they are: a person who rolls back must not be kept from it by that.

    Raises :class:`TargetError` when there is no instance, :class:`DeploymentFailed` when the environment is on
    several releases and none of them is known to be good.
    """
    if not instances:
        raise TargetError(
            "the environment has no instances.",
            environment=environment,
            state="nothing was touched.",
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
    running = ", ".join(f"{name}: {release or 'nothing'}" for name, release in sorted(found.items()))
    if good is None or good not in distinct:
        raise DeploymentFailed(
            "the environment is on several releases and none of them is known to be good, so there would be nothing "
            "whole to roll back to.",
            environment=environment,
            state=f"nothing was touched; {running}.",
            next_step="Bring every instance to one release at the target, then start again.",
        )
    return dict.fromkeys(found, good)


def unhealthy(instances: Sequence[Instance]) -> list[str]:
    """A sentence for each instance that is meant to serve and does not."""
    return [
        f"{instance.name} is {instance.health}" + (f" ({instance.message})" if instance.message else "")
        for instance in instances
        if instance.artifact is not None and instance.health != HEALTHY
    ]

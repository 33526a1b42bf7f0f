"""Waiting for a target to do what it was asked, and reading back what really runs; used by deploy and rollback."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from airflow_cd.errors import DeploymentFailed, TargetUnavailable
from airflow_cd.release import Release
from airflow_cd.targets.base import FAILED, HEALTHY, Instance, Target

Wanted = Mapping[str, "Release | None"]
"""What should run: the release of each instance, None where nothing should."""

MAX_VALUE = 80


def wait_until(
    target: Target,
    wanted: Wanted,
    *,
    timeout: float | timedelta,
    poll: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    on_progress: Callable[[int, list[str]], None] | None = None,
) -> list[Instance]:
    """Wait until every instance is healthy on exactly what is wanted of it.

    Ends early when one cannot get there any more: it has failed on the release, or the target no longer lists it.
    A target that cannot be reached for a while is asked again until the time is over. Whether an instance is drained
    plays no part.

    :param timeout: seconds, or a timedelta.
    :param poll: seconds between two looks.
    :param on_progress: called at first and whenever something changed, with the number of instances that are ready
        and :func:`differences` of the others.
    :returns: the instances that were wanted, as they were seen last.
    :raises DeploymentFailed: names each instance that is not there, and why.
    :raises TargetError: when the target refuses to answer, or did not answer until the time was over.
    """
    limit = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    began = clock()
    told: list[str] | None = None
    while True:
        away: TargetUnavailable | None = None
        left: list[str] = []
        try:
            instances = target.instances()
        except TargetUnavailable as error:
            away = error
        else:
            left = differences(instances, wanted)
            if left != told and on_progress is not None:
                on_progress(len(wanted) - len(left), left)
            told = left
            if not left:
                return [instance for instance in instances if instance.name in wanted]
            if _hopeless(instances, wanted):
                raise _not_there(target, wanted, left, f"after {clock() - began:.1f} s")
        if clock() - began + poll > limit:
            if away is not None:
                away.state = away.state or "unknown: it was asked to change and has not answered since."
                raise away
            raise _not_there(target, wanted, left, f"within {limit:.4g} s")
        sleep(poll)


def differences(instances: Iterable[Instance], wanted: Wanted) -> list[str]:
    """One sentence for each instance that is not healthy on exactly what is wanted of it, sorted by name.

    Instances that nothing is wanted of are not looked at.
    """
    return _compare(instances, wanted, health=True)


def read_back(target: Target, wanted: Wanted) -> list[str]:
    """Ask the target what runs, and say in one sentence each where artifact or configuration is not what is wanted."""
    return _compare(target.instances(), wanted, health=False)


def _compare(instances: Iterable[Instance], wanted: Wanted, *, health: bool) -> list[str]:
    seen = {instance.name: instance for instance in instances}
    found = []
    for name in sorted(wanted):
        instance, release = seen.get(name), wanted[name]
        if instance is None:
            found.append(f"{name} is gone: the target no longer lists it")
            continue
        wrong = _content(instance, release)
        if health and release is not None and instance.health != HEALTHY:
            wrong.insert(0, f"is {instance.health}")
        if wrong:
            message = instance.message.strip() if health else ""
            found.append(f"{name} {', '.join(wrong)}" + (f": {message}" if message else ""))
    return found


def _content(instance: Instance, release: Release | None) -> list[str]:
    """What is wrong with artifact and configuration, as parts of a sentence."""
    if release is None:
        return [] if instance.artifact is None else [f"runs {instance.artifact}, wanted nothing"]
    if instance.artifact is None:
        return [f"is empty, wanted {release.artifact}"]
    wrong = []
    if instance.artifact != release.artifact:
        wrong.append(f"runs {instance.artifact}, wanted {release.artifact}")
    for key in sorted({*instance.configuration, *release.configuration}):
        has, wants = _shown(instance.configuration, key), _shown(release.configuration, key)
        if has != wants:
            wrong.append(f"has {key} {_short(has)}, wanted {_short(wants)}")
    return wrong


def _shown(configuration: Mapping[str, Any], key: str) -> str:
    """A value as JSON, in which true is not 1, and a key that is not there is not null."""
    return json.dumps(configuration[key], sort_keys=True) if key in configuration else "unset"


def _short(text: str) -> str:
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _hopeless(instances: Iterable[Instance], wanted: Wanted) -> bool:
    seen = {instance.name: instance for instance in instances}
    # One that failed on something else may be about to be replaced: only a failure on what is wanted is final.
    return any(
        name not in seen or (seen[name].health == FAILED and release is not None and not _content(seen[name], release))
        for name, release in wanted.items()
    )


def _not_there(target: Target, wanted: Wanted, left: list[str], when: str) -> DeploymentFailed:
    releases = sorted({str(release) if release else "nothing" for release in wanted.values()})
    listed = "".join(f"\n  - {sentence}" for sentence in left)
    return DeploymentFailed(
        f"{len(left)} of {len(wanted)} instances are not healthy on {', '.join(releases)} {when}:{listed}\n",
        environment=getattr(target, "environment", None),
        state=f"{len(wanted) - len(left)} of {len(wanted)} instances run what was asked for.",
        next_step="Read what the instances say; the environment must go back to its release before anything else.",
    )

"""Looking at a live environment before the first deployment to it: what would fail there, in sentences.

Nothing is changed: only what a deployment asks a target before it begins is asked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_cd.errors import AirflowCdError, ArtifactNotFound, TargetError, Unavailable
from airflow_cd.instances import HEALTH_STATES, HEALTHY, Instance
from airflow_cd.release import Release
from airflow_cd.targets.base import Target, makes_replicas

SLOW_SECONDS = 2.0
"""A target that takes longer to say what runs makes a rollback as much slower, several times."""
NO_SUCH_SUFFIX = "-airflow-cd-check"


@dataclass(frozen=True)
class Finding:
    """Something that was looked at.

    :param text: what was found, one sentence.
    :param wrong: whether a deployment, or its rollback, would fail of it.
    """

    text: str
    wrong: bool = False


def examine(target: Target, service: str = "service") -> Iterator[Finding]:
    """Look at an environment.

    :param target: the environment.
    :param service: what is deployed, for the releases that the target is asked about.
    :returns: what was found, in the order in which a deployment would meet it.
    """
    if wrong := list(getattr(target, "mistakes", list)()):
        yield from (Finding(f"{sentence}.", wrong=True) for sentence in wrong)
        return
    try:
        # The first time also takes what clients are to import, and connections to open.
        target.instances()
        began = time.monotonic()
        instances = target.instances()
    except AirflowCdError as error:
        yield Finding(f"What runs cannot be read: {_said(error)}", wrong=True)
        return
    seconds = time.monotonic() - began
    yield Finding(f"{len(instances)} instances, read in {seconds:.2f} s: {_listed(instances)}.", wrong=not instances)
    if seconds > SLOW_SECONDS:
        yield Finding(f"That is slow: a rollback reads what runs several times, and would take {seconds:.0f} s longer.")
    yield from _of_instances(instances)
    yield from _of_artifacts(target, instances, service)
    yield from (Finding(sentence) for sentence in getattr(target, "notes", list)())


def _of_instances(instances: Sequence[Instance]) -> Iterator[Finding]:
    names = [instance.name for instance in instances]
    if names != sorted(set(names)):
        yield Finding("Names of instances are not sorted or not unique: each phase would choose others.", wrong=True)
    if len(names) == 1 and instances[0].track is None:
        yield Finding("With a single instance a canary is the whole environment, and has no control beside it.")
    for instance in instances:
        if instance.health not in HEALTH_STATES:
            yield Finding(f"{instance.name} is {instance.health!r}, which is no health that is known.", wrong=True)
        elif instance.artifact is not None and instance.health != HEALTHY:
            yield Finding(
                f"{instance.name} is {instance.health}: {instance.message or 'it does not say why'}. A rollback "
                "that has to bring it back to this cannot end healthy.",
                wrong=True,
            )
        if instance.drained:
            yield Finding(f"{instance.name} gets no traffic: a promotion would be refused.", wrong=True)
    running = {(one.artifact, repr(sorted(one.configuration.items()))) for one in instances}
    if len(running) > 1:
        yield Finding(
            "Instances run several releases, so a first deployment is refused: there would be nothing whole to go back "
            "to. Bring them to one.",
            wrong=True,
        )
    if silent := [one.name for one in instances if one.health == HEALTHY and one.started is None]:
        yield Finding(
            f"{', '.join(silent)} does not say since when it runs: give Verification(grace=...) the time for which the "
            "process before it goes on logging."
        )


def _of_artifacts(target: Target, instances: Sequence[Instance], service: str) -> Iterator[Finding]:
    artifacts = sorted({one.artifact for one in instances if one.artifact is not None})
    refused: set[str] = set()
    for artifact in artifacts:
        sample = next(one for one in instances if one.artifact == artifact)
        try:
            release = Release(service, sample.version or artifact, artifact, dict(sample.configuration))
            target.check(release)
        except AirflowCdError as error:
            if _said(error) not in refused:
                yield Finding(f"What runs now could not be deployed again: {_said(error)}", wrong=True)
            refused.add(_said(error))
        else:
            yield Finding(f"{artifact} could be deployed again.")
    for artifact in artifacts[:1] if not refused else ():
        absent = f"{artifact}{NO_SUCH_SUFFIX}"
        try:
            target.check(Release(service, "0", absent, {}))
        except ArtifactNotFound:
            yield Finding(f"{absent} is found not to exist, before anything is touched.")
        except TargetError as error:
            text = f"Whether an artifact exists cannot be found out before it is deployed: {_said(error)}"
            yield Finding(text, wrong=not isinstance(error, Unavailable))
        else:
            if makes_replicas(target):
                yield Finding("Whether an artifact exists, the first replica of a canary finds out, within seconds.")
                return
            yield Finding(
                f"{absent} is said to exist: an artifact that is not there would be found out on the instances.",
                wrong=True,
            )


def _listed(instances: Sequence[Instance], most: int = 12) -> str:
    shown = [f"{one.name} {one.artifact or 'empty'} {one.health}" for one in instances[:most]]
    return ", ".join(shown) + (f" and {len(instances) - most} more" if len(instances) > most else "")


def _said(error: AirflowCdError) -> str:
    return f"{error.what} {error.next_step}" if error.next_step else error.what

"""Whether a canary may go on: nobody else works on it, or has given the stable pods another release."""

from __future__ import annotations

from typing import NoReturn

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Object
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.names import ARTIFACT, CONFIGURATION
from airflow_cd.targets.kubernetes.routing import Routing
from airflow_cd.targets.kubernetes.template import Configurations, running
from airflow_cd.targets.kubernetes.template_note import RESTARTED, changed_parts, release_parts, told_of_changes


def require_as_weighed(routing: Routing) -> None:
    """Refuse to give more to a canary that somebody else has given another weight.

    :param routing: how requests come to its pods.
    :raises TargetRejected: somebody has.
    """
    if said := routing.reweighed():
        _refuse(said, "when nobody else changes the weights")


def require_not_abandoned(routing: Routing, canary: str) -> None:
    """Refuse to remake a canary that somebody has deleted while it had requests, which nobody answers now.

    :param routing: how requests come to its pods.
    :param canary: name of its Deployment.
    :raises TargetRejected: somebody has.
    """
    if said := routing.abandoned():
        _refuse(f"somebody has deleted Deployment {canary}, and {said}", "when nobody deletes it")


def require_as_noted(stable: Object, canary: Object, container: str) -> None:
    """Refuse to write over what somebody else has changed in a canary, or over a release that was given beside it.

    Whatever else they have changed in the Deployment stays, and the canary gets it too. A restart changes nothing.

    :param stable: the Deployment, as it was read.
    :param canary: its canary's.
    :param container: name of the container that holds the release, ``""`` for the first.
    :raises TargetRejected: somebody has; the message says who, when and what.
    """
    if changed_parts(canary) not in ([], [RESTARTED]):
        _refuse(
            f"{told_of_changes(canary)}, so what was verified is not what would be deployed",
            "with the change in the release's configuration, or in the Deployment",
        )
    if release_parts(stable, container) & set(changed_parts(stable)):
        _refuse(
            f"{told_of_changes(stable)}, and the canary's release would be written over it",
            "when what runs there is what is to be replaced",
        )


def goes_on_with(stable: Object, canary: Object, release: Release, container: str, read: Configurations) -> bool:
    """Whether the stable pods are about to get what a canary was given, and not what they ran before.

    :param stable: the Deployment, as it was read.
    :param canary: its canary's.
    :param release: what they are about to get.
    :param container: name of the container that holds it, ``""`` for the first.
    :param read: reads the configuration in a Secret.
    """
    marks = (canary["spec"]["template"].get("metadata") or {}).get("annotations") or {}
    secret = marks.get(CONFIGURATION)
    has = running(stable["spec"]["template"], container, read)
    given = marks.get(ARTIFACT) == release.artifact and (read(secret) if secret else {}) == dict(release.configuration)
    return given and not has.is_of(release)


def _refuse(said: str, again: str) -> NoReturn:
    raise TargetRejected(
        f"{said}.",
        state="nothing was changed by this call.",
        next_step=f"Find out who has changed it. The deployment goes back to what ran before; start it again {again}.",
    )

"""What is looked at, and made ready, before any container is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from airflow_cd.errors import ArtifactNotFound, TargetRejected
from airflow_cd.hooks.docker_naming import Role, Slot
from airflow_cd.release import Release
from airflow_cd.targets.docker.configuration import mistakes
from airflow_cd.targets.docker.health import has_check, slowest_answers, swallows_signals
from airflow_cd.targets.docker.host import Box, Host
from airflow_cd.targets.docker.images import check_image, fetch_image, images_there, known_image
from airflow_cd.targets.docker.register import State
from airflow_cd.targets.docker.settings import hindrances
from airflow_cd.targets.docker.work import in_parallel


def check_host(host: Host, release: Release) -> None:
    """Check that a release can be deployed on a host, and gone back from: containers, router, rights, image.

    :param host: the host.
    :param release: the release.
    :raises ArtifactNotFound: its image is neither there nor in its registry.
    :raises TargetError: something else stands in the way, which the message names.
    """
    slots = host.require_instances()
    boxes = boxes_of(host, slots.values())
    require_replaceable(host, boxes, release)
    if host.router is not None:
        host.router.require_rights()
        if missing := host.router.missing(slots):
            raise TargetRejected(
                f"HAProxy's backend {host.router.settings.backend} has no server for {', '.join(missing)}.",
                instances=tuple(missing),
                state="nothing was changed.",
                next_step="Give each container a server of its name, or set `server` in the connection's extra.",
            )
    known = known_image(release.artifact, every(boxes), host.register.read().images)
    check_image(host.engine, release.artifact, known)


def prepare_host(host: Host, slots: Sequence[str], release: Release, state: State, token: int) -> str:
    """Have everything on a host that a deployment needs; the id of the release's image there.

    :param host: the host.
    :param slots: names of the instances there that are to have it.
    :param release: the release.
    :param state: what the host remembers.
    :param token: fencing token of the caller.
    :raises ArtifactNotFound: its image is neither there nor in its registry.
    :raises TargetError: something else stands in the way, which the message names.
    """
    boxes = boxes_of(host, host.require_instances().values())
    require_replaceable(host, {name: boxes.get(name, {}) for name in slots}, release)
    known = known_image(release.artifact, every(boxes), state.images)
    fetched = fetch_image(host.engine, release.artifact, known, state.images)
    there = [of_one[Role.CURRENT] for of_one in boxes.values() if Role.CURRENT in of_one]
    # The way back to what was taken over needs its image when its containers are gone.
    host.register.note(token, images={**images_there(host.engine, there, state.images), **fetched})
    return fetched[release.artifact].partition(" ")[0]


SLOW_CHECK = 60.0
"""Seconds. A health check that takes longer to say that something is wrong is told of."""


def notes(host: Host, settle: float) -> Iterator[str]:
    """What works otherwise on a host than a person may expect, one sentence each.

    :param host: the host.
    :param settle: seconds that a container without a health check has to stay up.
    """
    boxes = [
        of_one[Role.CURRENT] for of_one in boxes_of(host, host.slots().values()).values() if Role.CURRENT in of_one
    ]
    if host.router is None:
        yield (
            f"{host.settings.conn_id}: no router, so draining stops a container, and one that is replaced is away "
            "meanwhile."
        )
    if unchecked := [box["Name"].lstrip("/") for box in boxes if not has_check(box)]:
        yield f"{', '.join(unchecked)}: no health check, so staying up for {settle:g} s counts as healthy."
    for name, box in ((box["Name"].lstrip("/"), box) for box in boxes if has_check(box)):
        fails, comes_up = (found.total_seconds() for found in slowest_answers(box))
        if max(fails, comes_up) > SLOW_CHECK:
            yield (
                f"{name}: its health check says only after {fails:g} s that it is not healthy any more, and after "
                f"{comes_up:g} s that it does not come up. Give Verification(duration=...) and "
                "Environment(timeout=...) more than that."
            )
    if shells := [box["Name"].lstrip("/") for box in boxes if swallows_signals(box)]:
        yield (
            f"{', '.join(shells)}: a shell is the first process, which does not pass SIGTERM on: stopping it may take "
            "until it is killed. Begin the command with exec, or use an init."
        )


def boxes_of(host: Host, slots: Iterable[Slot]) -> dict[str, dict[Role, Box]]:
    """The containers of instances by role, by the instance's name.

    :param host: where they are.
    :param slots: the instances.
    """
    given = list(slots)
    return dict(zip((slot.name for slot in given), in_parallel(given, host.boxes), strict=True))


def every(boxes: Mapping[str, Mapping[Role, Box]]) -> list[Box]:
    """Every container, those that run first: what runs says what an artifact means.

    :param boxes: as of :func:`boxes_of`.
    """
    roles = (Role.CURRENT, Role.KEPT, Role.SWAP, Role.EMPTY)
    return [of_one[role] for role in roles for of_one in boxes.values() if role in of_one]


def require_representable(release: Release) -> None:
    """Check that containers can have a release at all.

    :param release: the release.
    :raises TargetRejected: its configuration cannot be put into a container.
    :raises ArtifactNotFound: its artifact is no name of an image.
    """
    if wrong := mistakes(release.configuration):
        raise TargetRejected(
            f"the configuration of {release} cannot be put into a container: {'; '.join(wrong)}.",
            state="nothing was changed.",
            next_step="Correct these keys of the configuration.",
        )
    if any(letter.isspace() for letter in release.artifact):
        raise ArtifactNotFound(
            f"{release.artifact!r} is no name of an image.",
            state="nothing was changed.",
            next_step="Correct the pipeline's artifact.",
        )


def require_replaceable(host: Host, boxes: Mapping[str, Mapping[Role, Box]], release: Release) -> None:
    """Check that nothing about the containers stands in the way of a release.

    :param host: where they are.
    :param boxes: as of :func:`boxes_of`.
    :param release: the release.
    :raises TargetRejected: something does, which the message names.
    """
    found: dict[str, list[str]] = {}
    for name, of_one in boxes.items():
        box = of_one.get(Role.CURRENT) or of_one.get(Role.EMPTY) or of_one.get(Role.KEPT)
        for reason in hindrances(box, release) if box is not None else ():
            found.setdefault(reason, []).append(host.name_of(name))
    for name, guest in _guests(host, boxes):
        reason = f"shares its network with {guest}, which would lose it"
        found.setdefault(reason, []).append(host.name_of(name))
    if found:
        raise TargetRejected(
            "; ".join(f"{', '.join(names)} {reason}" for reason, names in found.items()) + ".",
            instances=tuple(sorted({name for names in found.values() for name in names})),
            state="nothing was changed.",
            next_step="Make these containers anew without that, or change the configuration.",
        )


def _guests(host: Host, boxes: Mapping[str, Mapping[Role, Box]]) -> Iterator[tuple[str, str]]:
    """Instances in whose network another container lives, and the name of that one."""
    ids = {
        str(box["Id"]): name for name, of_one in boxes.items() for role, box in of_one.items() if role is Role.CURRENT
    }
    for other in host.engine.containers():
        mode = str((other.get("HostConfig") or {}).get("NetworkMode") or "")
        owner = mode.removeprefix("container:")
        if mode.startswith("container:") and owner in ids:
            yield ids[owner], str((other.get("Names") or ["/a container"])[0]).lstrip("/")

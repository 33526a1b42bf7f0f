"""Replacing an instance's container under its own name, so that it can be stopped at any point and gone on with.

At every moment the names say how far it has come (:mod:`~airflow_cd.hooks.docker_naming`): the new container is made
beside the old one and never runs before it has the instance's name, and the old one is stopped before. Whoever comes
next puts right what it finds, then does what it was asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from airflow_cd.hooks.docker_naming import Role, Slot, name_as
from airflow_cd.release import Release
from airflow_cd.targets.docker.engine import Gone, Refusal
from airflow_cd.targets.docker.host import Box, Host
from airflow_cd.targets.docker.reading import content_of
from airflow_cd.targets.docker.settings import successor

log = logging.getLogger(__name__)

GRACE = 10
DRAINED_GRACE = 5
"""Seconds until a container is killed that no request reaches, where its own settings say nothing else."""
KILLED = 137


class Replacement:
    """Brings one instance to a release.

    :param host: where it is.
    :param name: its name there.
    :param allowed: called before each step; raises when the caller was overruled.
    :param leave_traffic: takes the instance out of the traffic; called when the old container is about to be stopped.
    :param drained: whether no request reaches it anyway.
    """

    def __init__(
        self,
        host: Host,
        name: str,
        *,
        allowed: Callable[[], None],
        leave_traffic: Callable[[], None],
        drained: bool,
    ) -> None:
        self._host = host
        self._engine = host.engine
        self._name = name
        self._allowed = allowed
        self._leave_traffic = leave_traffic
        self._drained = drained

    def bring(self, release: Release | None, image: str | None) -> None:
        """Make the instance run a release; returns when its container was started.

        A container that cannot be started stays where it is, and says why.

        :param release: what to run; None for nothing.
        :param image: id of the release's image.
        """
        boxes = self._put_right()
        current, kept, empty = (boxes.get(role) for role in (Role.CURRENT, Role.KEPT, Role.EMPTY))
        if release is None or image is None:
            self._empty(current, kept)
        elif current is not None and content_of(self._engine, current).is_of(release):
            self._start(current)
        elif current is not None and kept is not None and content_of(self._engine, kept).is_of(release):
            self._swap(current, kept)
        elif empty is not None and content_of(self._engine, empty).is_of(release):
            self._rename(empty, Role.CURRENT)
            self._start(empty)
        elif (before := current or empty) is not None:
            self._renew(before, kept, release, image)

    def forget(self) -> None:
        """Remove what was kept for the way back."""
        kept = self._put_right().get(Role.KEPT)
        if kept is not None:
            self._remove(kept)

    # -- what it consists of ---------------------------------------------------------------------------------------

    def _put_right(self) -> dict[Role, Box]:
        """Bring an instance that was left half-way to a form from which it can go on; starts and stops nothing."""
        boxes = self._host.boxes(self._slot())
        if (swap := boxes.get(Role.SWAP)) is not None:
            if Role.CURRENT not in boxes and Role.KEPT in boxes:
                self._move(boxes, Role.KEPT, Role.CURRENT)
            if Role.CURRENT not in boxes:
                self._move(boxes, Role.SWAP, Role.CURRENT)
            elif Role.KEPT not in boxes:
                self._move(boxes, Role.SWAP, Role.KEPT)
            else:
                self._remove(swap)
        if Role.CURRENT not in boxes and Role.EMPTY not in boxes:
            left = Role.KEPT if Role.KEPT in boxes else Role.NEXT
            if left in boxes:
                self._move(boxes, left, Role.CURRENT)
        if (unfinished := boxes.pop(Role.NEXT, None)) is not None:
            self._remove(unfinished)
        if Role.CURRENT in boxes and Role.EMPTY in boxes:
            # Somebody has made a container of this name by hand.
            if Role.KEPT in boxes:
                self._remove(boxes.pop(Role.EMPTY))
            else:
                self._move(boxes, Role.EMPTY, Role.KEPT)
        return boxes

    def _renew(self, before: Box, kept: Box | None, release: Release, image: str) -> None:
        its_image, named = self._engine.image(before["Image"]), self._engine.image(release.artifact)
        called = release.artifact if named is not None and named["Id"] == image else image
        settings = successor(before, its_image, release, image, called)
        self._allowed()
        made = self._engine.create(settings.payload, name_as(self._name, Role.NEXT))
        if self._engine.inspect(made)["Image"] != image:
            # The name has come to mean another image in this very moment.
            self._engine.remove(made)
            made = self._engine.create({**settings.payload, "Image": image}, name_as(self._name, Role.NEXT))
        for network, endpoint in settings.connections.items():
            self._engine.connect(made, network, endpoint)
        if settings.files:
            self._engine.put_files(made, settings.files)
        self._park(before)
        if kept is not None:
            self._remove(kept)
        self._rename(before, Role.KEPT)
        successor_box = {**before, "Id": made}
        self._rename(successor_box, Role.CURRENT)
        self._start(successor_box)

    def _swap(self, current: Box, kept: Box) -> None:
        self._park(current)
        policy = current["HostConfig"].get("RestartPolicy") or {}
        if policy.get("Name") == "always" and (kept["HostConfig"].get("RestartPolicy") or {}).get("Name") != "always":
            self._engine.restart_policy(kept["Id"], policy)
        self._rename(current, Role.SWAP)
        self._rename(kept, Role.CURRENT)
        self._start(kept)
        self._rename(current, Role.KEPT)

    def _empty(self, current: Box | None, kept: Box | None) -> None:
        if current is not None:
            self._park(current)
            self._rename(current, Role.EMPTY)
        if kept is not None:
            self._remove(kept)

    def _park(self, box: Box) -> None:
        """Stop a container so that it stays stopped, when the daemon starts anew too."""
        self._allowed()
        self._leave_traffic()
        self._allowed()
        policy = box["HostConfig"].get("RestartPolicy") or {}
        stop(self._host, box, drained=self._drained)
        if policy.get("Name") == "always":
            self._engine.restart_policy(box["Id"], {"Name": "unless-stopped"})

    # -- single steps ----------------------------------------------------------------------------------------------

    def _slot(self) -> Slot:
        return self._host.slots().get(self._name, Slot(self._name))

    def _start(self, box: Box) -> None:
        self._allowed()
        try:
            self._engine.start(box["Id"])
        except Refusal as refusal:
            log.warning("%s cannot be started: %s", self._name, refusal)

    def _rename(self, box: Box, role: Role) -> None:
        self._allowed()
        self._engine.rename(box["Id"], name_as(self._name, role))

    def _move(self, boxes: dict[Role, Box], role: Role, to: Role) -> None:
        self._rename(boxes[role], to)
        boxes[to] = boxes.pop(role)

    def _remove(self, box: Box) -> None:
        self._allowed()
        try:
            self._engine.remove(box["Id"])
        except Gone:
            return
        except Refusal:
            # It runs, which what is kept never does by us: somebody has started it.
            stop(self._host, box, drained=True)
            self._engine.remove(box["Id"])


def stop(host: Host, box: Box, *, drained: bool) -> None:
    """Stop a container, and say so if it had to be killed.

    :param host: where it is.
    :param box: the container.
    :param drained: whether no request reaches it, so that it need not be given long.
    """
    own = box["Config"].get("StopTimeout")
    grace = int(own) if own is not None else DRAINED_GRACE if drained else GRACE
    container = str(box["Id"])
    try:
        host.engine.stop(container, grace)
        code = host.engine.inspect(container)["State"].get("ExitCode")
    except Gone:
        return
    if code == KILLED and box["State"].get("Running"):
        log.warning(
            "%s did not end by itself within %d s and was killed; requests under way then were lost. Does its first "
            "process pass SIGTERM on?",
            str(box.get("Name", container)).lstrip("/"),
            grace,
        )

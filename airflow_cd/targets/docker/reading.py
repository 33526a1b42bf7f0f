"""What runs on an instance: read from the container itself, never from what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow_cd.hooks.docker_naming import Role, Slot, name_as
from airflow_cd.instances import EMPTY, FAILED, HEALTHY, UNHEALTHY, Instance
from airflow_cd.release import Release
from airflow_cd.targets.docker.configuration import decode, is_file, read_variables
from airflow_cd.targets.docker.engine import Engine
from airflow_cd.targets.docker.health import health_of, started
from airflow_cd.targets.docker.host import Box, Host
from airflow_cd.targets.docker.register import State
from airflow_cd.targets.docker.settings import ARTIFACT, IMAGE, VERSION, kinds_of
from airflow_cd.targets.haproxy.answers import Load, Server
from airflow_cd.targets.haproxy.router import moved_to
from airflow_cd.targets.last_words import LINES_READ


@dataclass(frozen=True)
class Content:
    """What a container is made to run.

    :param artifact: the release's artifact, or the image's name where no release of ours made the container.
    :param version: the release's version, or the image's tag.
    :param configuration: what it really has of the configuration that it was given.
    """

    artifact: str
    version: str
    configuration: Mapping[str, Any]

    def is_of(self, release: Release) -> bool:
        """Whether it is exactly a release.

        :param release: artifact and configuration.
        """
        return self.artifact == release.artifact and dict(self.configuration) == dict(release.configuration)


@dataclass(frozen=True)
class Traffic:
    """What the routers of a host know of its instances, at one moment.

    :param servers: servers by name, of each process; empty without a router.
    :param load: what goes on at each server.
    """

    servers: tuple[Mapping[str, Server], ...] = ()
    load: Mapping[str, Load] | None = None

    @classmethod
    def read(cls, host: Host) -> Traffic:
        """Ask the router of a host, if it has one.

        :param host: the host.
        :raises TargetUnavailable: the router does not answer.
        """
        return cls() if host.router is None else cls(tuple(host.router.servers()), host.router.load())


def artifact_of(box: Box) -> str:
    """The artifact that a container was made from.

    :param box: the container.
    """
    labels = box["Config"].get("Labels") or {}
    # Another tool that renews containers takes our labels over, with an image of its own.
    if labels.get(ARTIFACT) and labels.get(IMAGE) == box["Image"]:
        return str(labels[ARTIFACT])
    return str(box["Config"].get("Image") or box["Image"])


def content_of(engine: Engine, box: Box) -> Content:
    """What a container is made to run, its files read from inside.

    :param engine: the host.
    :param box: the container.
    :raises TargetUnavailable: the host does not answer.
    """
    labels, artifact = box["Config"].get("Labels") or {}, artifact_of(box)
    kinds = kinds_of(box)
    files = {key: engine.read_file(box["Id"], key) for key in kinds if is_file(key)}
    configuration = decode(kinds, read_variables(box["Config"].get("Env")), files)
    ours = labels.get(ARTIFACT) == artifact and labels.get(VERSION)
    return Content(artifact, str(ours or tag_of(artifact)), configuration)


def tag_of(artifact: str) -> str:
    """The tag of an image's name, which stands for its version; the name itself where it has none.

    :param artifact: name of an image.
    """
    tag = artifact.partition("@")[0].rpartition("/")[2].partition(":")[2]
    return tag or artifact


def read_instance(
    host: Host, slot: Slot, boxes: Mapping[Role, Box], state: State, traffic: Traffic, settle: timedelta
) -> Instance | None:
    """An instance as it is now; None when none of its containers is there any more.

    :param host: where it is.
    :param slot: the instance.
    :param boxes: its containers.
    :param state: what the host remembers.
    :param traffic: what its router knows.
    :param settle: how long a container without a health check has to stay up.
    """
    name = host.name_of(slot.name)
    box = boxes.get(Role.CURRENT)
    if box is None and Role.EMPTY in boxes:
        return Instance(name, None, None, health=EMPTY, drained=slot.name in state.drained)
    drained = is_drained(host, slot.name, box, state, traffic)
    if box is None:
        role = next((role for role in (Role.KEPT, Role.SWAP, Role.NEXT) if role in boxes), None)
        if role is None:
            return None
        content = content_of(host.engine, boxes[role])
        message = f"its container is gone; {name_as(slot.name, role)} is still there, and is taken by the next change"
        return Instance(name, content.version, content.artifact, content.configuration, FAILED, drained, message)
    content = content_of(host.engine, box)
    health, message = health_of(box, host.engine.now(), settle, lambda: host.engine.last_lines(box["Id"], LINES_READ))
    if health == HEALTHY and not drained and (trouble := _not_reached(host, slot.name, box, traffic)):
        health, message = UNHEALTHY, trouble
    if host.router is not None and slot.name in state.drained and not drained:
        message = f"was drained, and HAProxy gives it traffic again: it was reloaded, or changed by hand. {message}"
    return Instance(
        name,
        content.version,
        content.artifact,
        content.configuration,
        health,
        drained,
        message.strip(),
        started(box),
        weight=weight_of(host, slot.name, traffic),
    )


def is_drained(host: Host, name: str, box: Box | None, state: State, traffic: Traffic) -> bool:
    """Whether no request reaches an instance: by its router, or, without one, because it was stopped for that.

    :param host: where it is.
    :param name: its name there.
    :param box: its container, if there is one.
    :param state: what the host remembers.
    :param traffic: what its router knows.
    """
    if host.router is None:
        running = box is not None and bool(box["State"].get("Running"))
        return name in state.drained and not running
    server = host.router.settings.server_of(name)
    return all(server not in servers or servers[server].out for servers in traffic.servers)


def weight_of(host: Host, name: str, traffic: Traffic) -> float | None:
    """Percent of the requests that an instance is given; None where all that have their traffic have as much.

    :param host: where it is.
    :param name: its name there.
    :param traffic: what its router knows.
    """
    if host.router is None or not traffic.servers:
        return None
    given = {server.name: server.weight for server in traffic.servers[0].values() if not server.out}
    if len(set(given.values())) <= 1:
        return None
    return round(100 * given.get(host.router.settings.server_of(name), 0) / sum(given.values()), 1)


def _not_reached(host: Host, name: str, box: Box, traffic: Traffic) -> str:
    """Why requests do not reach a container that is healthy and not drained; ``""`` when they do."""
    if host.router is None:
        return ""
    server = host.router.settings.server_of(name)
    load = (traffic.load or {}).get(server)
    if load is not None and load.status.startswith("DOWN"):
        return f"HAProxy does not reach it ({load.check or load.status})"
    given = {servers[server].address for servers in traffic.servers if server in servers}
    networks = ((box.get("NetworkSettings") or {}).get("Networks") or {}).values()
    strange = sorted(given - {str(network.get("IPAddress")) for network in networks})
    if not strange:
        return ""
    addresses = host.addresses(box)
    for address in strange:
        if wanted := moved_to(address, addresses.own, addresses.taken):
            return f"HAProxy sends its requests to {address}, and it is at {wanted}"
    return ""

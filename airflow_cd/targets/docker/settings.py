"""What a container is made of beside its release, carried over to the one that replaces it.

The daemon's record of a container mixes what was asked for with what came from its image. What equals the image's is
left to the new image; everything else is kept: mounts, networks with their aliases, ports, limits, the restart policy,
the health check, the user, labels, and the environment variables that are not the release's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_cd.release import Release
from airflow_cd.targets.docker.configuration import encode, read_variables, write_variables

OURS = "airflow-cd.release."
VERSION = f"{OURS}version"
ARTIFACT = f"{OURS}artifact"
KINDS = f"{OURS}configuration"
IMAGE = f"{OURS}image"
SERVICE = f"{OURS}service"
REPLACES = f"{OURS}replaces"
COVERED = "AIRFLOW_CD_COVERED"
"""Variable with the container's own values of those that the release's configuration has, to be had back one day.

A variable rather than a label: it may hold a secret, as variables may, and labels are copied into metrics.
"""

_FROM_IMAGE = (
    "Cmd",
    "Entrypoint",
    "WorkingDir",
    "User",
    "Healthcheck",
    "StopSignal",
    "Shell",
    "Volumes",
    "ExposedPorts",
)
_NOT_CARRIED = (
    "Env",
    "Labels",
    "Image",
    "Hostname",
    "OnBuild",
    "ArgsEscaped",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
)
_OWNERS = {
    "com.docker.swarm.service.name": "a Swarm service",
    "io.kubernetes.pod.name": "a Kubernetes pod",
    "com.amazonaws.ecs.task-arn": "an ECS task",
}
_NO_ENDPOINTS = ("default", "bridge", "host", "none")


@dataclass(frozen=True)
class Successor:
    """How to make the container that replaces another.

    :param payload: for the daemon's API; its networks are the first one only, as every version takes it.
    :param connections: endpoint of each further network.
    :param files: content of the configuration's files.
    """

    payload: Mapping[str, Any]
    connections: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, bytes]


def successor(
    container: Mapping[str, Any], its_image: Mapping[str, Any] | None, release: Release, image: str, called: str = ""
) -> Successor:
    """Settings of a container, with another release.

    :param container: the one that is replaced, as the daemon says it.
    :param its_image: the image of that one; None when the host does not have it any more.
    :param release: what the new one is to run.
    :param image: id of the release's image.
    :param called: a name that means this image now, for those who list containers; its id by default.
    """
    before = (its_image or {}).get("Config") or {}
    config = dict(container["Config"])
    encoded = encode(release.configuration)
    own = own_variables(container, before)
    covered = {key: own[key] for key in encoded.variables if key in own}
    variables = {**own, **encoded.variables}
    if covered:
        variables[COVERED] = json.dumps(covered, sort_keys=True)
    payload = {key: value for key, value in config.items() if key not in _NOT_CARRIED}
    for key in _FROM_IMAGE:
        if key in payload and (payload[key] == before.get(key) or not payload[key]):
            del payload[key]
    if config.get("Hostname") and config["Hostname"] != container["Id"][:12]:
        payload["Hostname"] = config["Hostname"]
    payload["Image"] = called or image
    payload["Env"] = write_variables(variables)
    payload["Labels"] = own_labels(config, before) | {
        SERVICE: release.service,
        VERSION: release.version,
        ARTIFACT: release.artifact,
        KINDS: json.dumps(encoded.kinds, sort_keys=True),
        IMAGE: image,
        REPLACES: container["Id"],
    }
    payload["HostConfig"] = _host_config(container)
    first, others = _networks(container)
    payload["NetworkingConfig"] = {"EndpointsConfig": first}
    return Successor(payload, others, encoded.files)


def own_variables(container: Mapping[str, Any], image_config: Mapping[str, Any]) -> dict[str, str | None]:
    """The environment variables that are neither the image's nor the release's.

    :param container: as the daemon says it.
    :param image_config: what its image sets.
    """
    config = container["Config"]
    variables, by_image = read_variables(config.get("Env")), read_variables(image_config.get("Env"))
    covered = json.loads(variables.pop(COVERED, None) or "{}")
    released = kinds_of(container)
    own = {
        key: value
        for key, value in variables.items()
        if key not in released and not (key in by_image and by_image[key] == value)
    }
    return {**own, **covered}


def own_labels(config: Mapping[str, Any], image_config: Mapping[str, Any]) -> dict[str, str]:
    """The labels that are neither the image's nor those of a release.

    :param config: of the container.
    :param image_config: of its image.
    """
    by_image = image_config.get("Labels") or {}
    labels = config.get("Labels") or {}
    return {key: value for key, value in labels.items() if not key.startswith(OURS) and by_image.get(key) != value}


def kinds_of(container: Mapping[str, Any]) -> dict[str, str]:
    """The kind of each value of the configuration that a container was given; empty where none was.

    :param container: as the daemon says it.
    """
    try:
        kinds = json.loads((container["Config"].get("Labels") or {}).get(KINDS) or "{}")
    except ValueError:
        return {}
    return {str(key): str(kind) for key, kind in kinds.items()} if isinstance(kinds, dict) else {}


def hindrances(container: Mapping[str, Any], release: Release) -> list[str]:
    """Why a container cannot be replaced, or not by this release; parts of a sentence about it.

    :param container: as the daemon says it.
    :param release: what is to replace it.
    """
    found = []
    host = container["HostConfig"]
    labels = container["Config"].get("Labels") or {}
    if owner := next((name for label, name in _OWNERS.items() if label in labels), None):
        found.append(f"is kept by {owner}, which would put back what is changed here")
    if host.get("AutoRemove"):
        found.append("was started with --rm, so nothing would be left to go back to")
    files = encode(release.configuration).files
    if files and host.get("ReadonlyRootfs"):
        found.append(f"has a read-only file system, into which {', '.join(files)} cannot be put")
    places = [str(mount["Destination"]) for mount in container.get("Mounts") or ()] + list(host.get("Tmpfs") or ())
    for path in files:
        if covering := [place for place in places if f"{path}/".startswith(f"{place.rstrip('/')}/")]:
            found.append(f"has a mount at {covering[0]}, so file {path} would be hidden, or seen by all who share it")
    return found


def _host_config(container: Mapping[str, Any]) -> dict[str, Any]:
    host = dict(container["HostConfig"])
    if host.get("VolumesFrom"):
        return host
    named = {bind.split(":")[1] for bind in host.get("Binds") or () if ":" in bind}
    named |= {str(mount.get("Target")) for mount in host.get("Mounts") or ()}
    anonymous = [
        f"{mount['Name']}:{mount['Destination']}" + ("" if mount.get("RW", True) else ":ro")
        for mount in container.get("Mounts") or ()
        if mount.get("Type") == "volume" and mount.get("Name") and mount["Destination"] not in named
    ]
    if anonymous:
        host["Binds"] = [*(host.get("Binds") or ()), *anonymous]
    return host


def _networks(container: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Endpoints of the network that a container is made in, and of the others."""
    mode = str(container["HostConfig"].get("NetworkMode") or "default")
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    endpoints = {name: _endpoint(container, network) for name, network in networks.items()}
    main = next((name for name, network in networks.items() if mode in (name, network.get("NetworkID"))), None)
    if mode in _NO_ENDPOINTS or mode.startswith("container:") or main is None:
        return {}, {name: endpoint for name, endpoint in endpoints.items() if name not in (*_NO_ENDPOINTS, main)}
    return {main: endpoints.pop(main)}, endpoints


def _endpoint(container: Mapping[str, Any], network: Mapping[str, Any]) -> dict[str, Any]:
    # The first letters of its own id are added by the daemon.
    aliases = [alias for alias in network.get("Aliases") or () if alias != container["Id"][:12]]
    kept = {"Aliases": aliases, **{name: network.get(name) for name in ("IPAMConfig", "Links", "DriverOpts")}}
    return {name: value for name, value in kept.items() if value}

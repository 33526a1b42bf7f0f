"""A Docker host's containers in memory: names are unique, labels never change, one that runs is not removed."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

from airflow_cd.hooks.docker_naming import ENVIRONMENT, Role, Selection
from airflow_cd.targets.docker.engine import Gone, Refusal
from airflow_cd.targets.docker.host import Host

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
CHANGES = ("create", "connect", "start", "stop", "rename", "remove", "restart_policy", "put_files")


class Killed(BaseException):
    """The process ends here."""


class Containers:
    """What a :class:`~airflow_cd.targets.docker.engine.Engine` does, without a daemon.

    :ivar steps_left: how many changes are made before the process ends.
    :ivar refused: names of containers that do not start.
    :ivar tags: ids of images by name.
    """

    settings = SimpleNamespace(title="the Docker host", conn_id="docker_test")

    def __init__(self) -> None:
        self.boxes: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.steps_left = 10**9
        self.refused: set[str] = set()
        self.tags: dict[str, str] = {}
        self._ids = itertools.count(1)

    def add(self, name: str, image: str = "web:1.0", policy: str = "always") -> str:
        """A container that somebody has started."""
        config = {"Image": image, "Env": ["BASE=1"], "Labels": {ENVIRONMENT: "production"}}
        host = {"NetworkMode": "default", "RestartPolicy": {"Name": policy}}
        made = self.create({**config, "HostConfig": host}, name)
        self.boxes[made]["Image"] = f"id of {image}"
        self.start(made)
        return made

    def names(self) -> dict[str, str]:
        """Id of each container by its name."""
        return {box["Name"][1:]: made for made, box in self.boxes.items()}

    def running(self) -> list[str]:
        """Names of those that run."""
        return sorted(box["Name"][1:] for box in self.boxes.values() if box["State"]["Running"])

    def _step(self) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Killed

    def _box(self, container: str) -> dict[str, Any]:
        if container not in self.boxes:
            raise Gone(container)
        return self.boxes[container]

    def containers(self) -> list[dict[str, Any]]:
        return [
            {
                "Id": made,
                "Names": [box["Name"]],
                "Labels": box["Config"]["Labels"],
                "HostConfig": {"NetworkMode": box["HostConfig"]["NetworkMode"]},
            }
            for made, box in self.boxes.items()
        ]

    def inspect(self, container: str) -> dict[str, Any]:
        return copy.deepcopy(self._box(container))

    def create(self, payload: Mapping[str, Any], name: str) -> str:
        self._step()
        if name in self.names():
            raise Refusal(f"the name {name} is taken")
        made = f"{next(self._ids):064d}"
        config = {key: value for key, value in payload.items() if key not in ("HostConfig", "NetworkingConfig")}
        self.boxes[made] = {
            "Id": made,
            "Name": f"/{name}",
            "Image": self.tags.get(payload["Image"], payload["Image"]),
            "Created": NOW.isoformat(),
            "Config": {"Labels": {}, **copy.deepcopy(config)},
            "HostConfig": copy.deepcopy(payload["HostConfig"]),
            "NetworkSettings": {"Networks": {}},
            "State": {"Status": "created", "Running": False, "ExitCode": 0, "StartedAt": "", "FinishedAt": ""},
        }
        self.files[made] = {}
        return made

    def connect(self, container: str, network: str, endpoint: Mapping[str, Any]) -> None:
        self._step()

    def start(self, container: str) -> None:
        self._step()
        box = self._box(container)
        if box["Name"][1:] in self.refused:
            raise Refusal("port is already allocated")
        started = (NOW - timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
        box["State"].update(Status="running", Running=True, StartedAt=started)

    def stop(self, container: str, grace: int) -> None:
        self._step()
        self._box(container)["State"].update(Status="exited", Running=False)

    def rename(self, container: str, name: str) -> None:
        self._step()
        if name in self.names():
            raise Refusal(f"the name {name} is taken")
        self._box(container)["Name"] = f"/{name}"

    def remove(self, container: str) -> None:
        self._step()
        if self._box(container)["State"]["Running"]:
            raise Refusal("it runs")
        del self.boxes[container]

    def restart_policy(self, container: str, policy: Mapping[str, Any]) -> None:
        self._step()
        self._box(container)["HostConfig"]["RestartPolicy"] = dict(policy)

    def put_files(self, container: str, files: Mapping[str, bytes]) -> None:
        self._step()
        self.files[container].update(files)

    def read_file(self, container: str, path: str) -> bytes | None:
        return self.files.get(container, {}).get(path)

    def image(self, name: str) -> dict[str, Any] | None:
        return {"Id": self.tags.get(name, name), "Config": {}}

    def last_lines(self, container: str, count: int) -> list[str]:
        return []

    def now(self) -> datetime:
        return NOW


def host_of(containers: Containers) -> Host:
    """A host with these containers and no router."""
    made = Host.__new__(Host)
    made.prefix = ""
    made.engine = containers  # type: ignore[assignment]
    made.selection = Selection.read(None, "production")
    made.__dict__["router"] = None
    return made


__all__ = ["CHANGES", "NOW", "Containers", "Killed", "Role", "host_of"]

"""An environment of containers, as somebody has started them without knowing of us."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from airflow_cd.release import Release
from airflow_cd.targets import DockerTarget
from tests.real.engine import Engine, EngineError

from .haproxy import Haproxy, haproxy

WEB = Path(__file__).with_name("web")
LABEL = "com.example.service=web"


def build(engine: Engine, base: str) -> None:
    """The images of the service: good ones, and one for each way to fail."""
    for version, fault in (("1.0", ""), ("1.1", ""), ("1.2", "crash"), ("1.3", "unhealthy"), ("1.4", "deaf")):
        options = ("--build-arg", f"WEB_VERSION={version}", "--build-arg", f"WEB_FAULT={fault}")
        engine.build(f"web:{version}", WEB, *options, base=base)
    engine.build("web:1.5", WEB, "--file", str(WEB / "late.Dockerfile"), base="web:1.1")


def release(version: str, **configuration: Any) -> Release:
    """A release of the service."""
    return Release("web", version, f"web:{version}", configuration)


class Site:
    """Containers ``web-1`` and so on in a network of their own, and an HAProxy before them.

    :param engine: the daemon.
    :param folder: for what belongs to it.
    :param connect: defines an Airflow connection; gives its id.
    """

    def __init__(self, engine: Engine, folder: Path, connect: Any) -> None:
        self.engine, self.folder, self._connect = engine, folder, connect
        self.network = "web-net"
        self.haproxy: Haproxy | None = None
        self.names: list[str] = []

    def run(self, count: int, *options: str, image: str = "web:1.0") -> None:
        """Start so many containers."""
        self.engine("docker", "network", "create", self.network)
        for number in range(1, count + 1):
            self.names.append(f"web-{number}")
            self.engine(
                *("docker", "run", "--detach", "--name", f"web-{number}", "--hostname", f"web-{number}"),
                *("--network", self.network, "--network-alias", "web", "--label", LABEL, "--restart", "always"),
                *(*options, image),
            )

    def inspect(self, container: str) -> dict[str, Any]:
        """What the daemon knows of a container."""
        found: list[dict[str, Any]] = json.loads(self.engine("docker", "inspect", container))
        return found[0]

    def address(self, container: str) -> str:
        """Its address in the network."""
        return str(self.inspect(container)["NetworkSettings"]["Networks"][self.network]["IPAddress"])

    def containers(self) -> list[str]:
        """Names of all containers."""
        return sorted(self.engine("docker", "ps", "--all", "--format", "{{.Names}}").split())

    @contextlib.contextmanager
    def routed(self, more: str = "") -> Iterator[Haproxy]:
        """With an HAProxy before them, which knows them by the addresses that they have now."""
        self.folder.mkdir(exist_ok=True)
        servers = {name: f"{self.address(name)}:8000" for name in self.names}
        with haproxy(self.folder, servers, more) as running:
            self.haproxy = running
            yield running
        self.haproxy = None

    @property
    def url(self) -> str:
        """Where the daemon is."""
        return str(self.engine.environment["DOCKER_HOST"])

    def extra(self) -> dict[str, Any]:
        """The extra of a connection to the daemon, and to HAProxy where one runs."""
        settings: dict[str, Any] = {"docker_url": self.url, "containers": f"label={LABEL}"}
        if self.haproxy is not None:
            settings["haproxy"] = {"socket": str(self.haproxy.socket), "backend": "web", "drain_seconds": 5}
        return settings

    def connection(self, conn_id: str = "docker_production", **extra: Any) -> str:
        """An Airflow connection to the daemon, and to HAProxy where one runs."""
        self._connect(conn_id, conn_type="docker", extra=json.dumps({**self.extra(), **extra}))
        return conn_id

    def target(self, **settings: Any) -> DockerTarget:
        """The environment."""
        return DockerTarget(self.connection(), "production", **{"settle": 0.5, "patience": 20, **settings})

    def answers(self, count: int = 20) -> list[str]:
        """Versions that answer so many requests through HAProxy."""
        assert self.haproxy is not None
        with httpx.Client() as client:
            return [client.get(self.haproxy.url).json()["version"] for _ in range(count)]

    def answers_of(self, container: str) -> str:
        """The version that a container says it is, at its own address."""
        return str(httpx.get(f"http://{self.address(container)}:8000").json()["version"])

    def clear(self) -> None:
        """Take everything away."""
        if left := self.engine("docker", "ps", "--all", "--quiet").split():
            self.engine("docker", "rm", "--force", "--volumes", *left)
        if volumes := self.engine("docker", "volume", "ls", "--quiet").split():
            self.engine("docker", "volume", "rm", *volumes)
        with contextlib.suppress(EngineError):
            self.engine("docker", "network", "rm", self.network)
        self.names = []

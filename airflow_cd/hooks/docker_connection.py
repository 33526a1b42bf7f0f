"""How a Docker host is reached: by an Airflow connection of the Docker provider, and the client that it makes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow_cd.errors import TargetRejected, TargetUnauthorized, TargetUnavailable
from airflow_cd.http.connection import ConnectionSettings
from airflow_cd.http.family import TARGET

DEFAULT_URL = "unix:///var/run/docker.sock"
DEFAULT_TIMEOUT = 60.0
TLS_FILES = ("tls_ca_cert", "tls_client_cert", "tls_client_key")
KIND = "docker"
KEPT = ".airflow-cd.kept"
"""Ending of the name of a container that is kept for the way back."""
_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


def prefix_of(conn_id: str, hosts: int) -> str:
    """The prefix of a host's containers in the names of instances; ``""`` where there is one host only.

    :param conn_id: connection of the host.
    :param hosts: how many hosts the environment has.
    """
    return f"{conn_id.removeprefix(f'{KIND}_')}/" if hosts > 1 else ""


def installed() -> bool:
    """Whether the Docker SDK is installed here; imports nothing."""
    from importlib.util import find_spec

    return find_spec("docker") is not None


def not_installed() -> TargetRejected:
    """The error where the Docker provider or SDK is not installed."""
    return TargetRejected(
        "a target of kind docker needs the Docker provider and SDK, which are not installed here.",
        state="nothing was changed.",
        next_step="Install them wherever tasks run: pip install 'airflow-cd[docker]'.",
    )


@dataclass(frozen=True)
class DockerConnection:
    """How one Docker host is reached.

    The connection is one of the Docker provider's: *host*, *login* and *password* are those of a registry of images.
    The extra says how the daemon is reached: ``docker_url`` (``unix:///var/run/docker.sock`` by default, or
    ``tcp://host:2376``), ``tls_ca_cert``, ``tls_client_cert``, ``tls_client_key`` (paths), ``timeout`` (seconds, 60).

    :param conn_id: id of the connection.
    :param url: where the daemon listens.
    :param timeout: seconds to wait for one answer.
    :param tls: paths of authority, certificate and key; empty for a socket without TLS.
    :param registry: registry that the credentials are for, ``""`` for none.
    :param credentials: user name and password of the registry.
    :param options: the connection's extra.
    """

    conn_id: str
    url: str = DEFAULT_URL
    timeout: float = DEFAULT_TIMEOUT
    tls: tuple[str, ...] = ()
    registry: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, conn_id: str) -> DockerConnection:
        """Read the connection, and nothing else.

        :param conn_id: its id.
        :raises TargetRejected: there is none, or a setting of it cannot work.
        :raises TargetUnavailable: whatever keeps connections does not answer.
        """
        settings = ConnectionSettings.read(conn_id, TARGET)
        given = [settings.text(name) for name in TLS_FILES]
        if any(given) and not all(given):
            raise settings.wrong("TLS needs three files", f"Give {', '.join(TLS_FILES)}, or none of them,")
        for name, path in zip(TLS_FILES, given, strict=True):
            if path and not Path(path).is_file():
                raise settings.wrong(f"{name} is {path!r}, which is no file here", f"Correct {name}")
        registry = _registry(settings.host, settings.port)
        return cls(
            conn_id=conn_id,
            url=settings.text("docker_url") or DEFAULT_URL,
            timeout=settings.seconds("timeout", DEFAULT_TIMEOUT),
            tls=tuple(given) if all(given) else (),
            registry=registry,
            credentials={"username": settings.login, "password": settings.password} if settings.login else {},
            options=settings.options,
        )

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        return f"the Docker host of connection {self.conn_id!r} ({self.url})"

    def wrong(self, reason: str, next_step: str) -> TargetRejected:
        """Return the error for a setting of the connection that cannot work.

        :param reason: what is wrong, without a full stop.
        :param next_step: what to do, without a full stop.
        """
        return TargetRejected(f"connection {self.conn_id!r}: {reason}.", next_step=f"{next_step} in the connection.")

    def credentials_for(self, image: str) -> dict[str, str] | None:
        """The credentials that an image's registry asks for; None where the connection has none for it.

        :param image: name of the image.
        """
        if not self.credentials:
            return None
        first = image.split("/", 1)[0]
        registry = first if "/" in image and ("." in first or ":" in first or first == "localhost") else "docker.io"
        same = registry == self.registry or {registry, self.registry or "docker.io"} <= _DOCKER_HUB
        return dict(self.credentials) if same else None

    def client(self) -> Any:
        """Connect, through the Docker provider's hook; the SDK's ``APIClient``.

        The hook is given no connection: it would log in to the registry first, and a rollback must not need that.

        :raises TargetRejected: the Docker provider is not installed, or the address cannot be used.
        :raises TargetUnauthorized: this user may not open the daemon's socket.
        :raises TargetUnavailable: the daemon does not answer.
        """
        try:
            from airflow.providers.docker.hooks.docker import DockerHook
        except ImportError:
            raise not_installed() from None
        try:
            ca_cert, client_cert, client_key = self.tls or (None, None, None)
            tls = DockerHook.construct_tls_config(ca_cert, client_cert, client_key)
            hook = DockerHook(docker_conn_id=None, base_url=self.url, tls=tls, timeout=max(1, round(self.timeout)))
            return hook.get_conn()
        except Exception as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Exception:
        path = f"/{self.url.removeprefix('unix:').lstrip('/')}" if self.url.startswith("unix:") else ""
        if path and Path(path).exists() and not os.access(path, os.R_OK | os.W_OK):
            return TargetUnauthorized(
                f"{self.title} refuses this user: {path} may not be opened.",
                state="nothing was changed by this call.",
                next_step="Add the user that Airflow's tasks run as to the group of that socket.",
            )
        if path and not Path(path).exists():
            return TargetUnavailable(
                f"{self.title} does not answer: there is no {path}.",
                next_step="Start the daemon, or correct docker_url in the extra of the connection.",
            )
        return TargetUnavailable(
            f"{self.title} does not answer ({type(error).__name__}).",
            next_step="See whether the daemon runs and can be reached from where tasks run.",
        )


def _registry(host: str, port: int | None) -> str:
    name = urlsplit(host if "://" in host else f"//{host}").netloc if host else ""
    return f"{name}:{port}" if name and port and ":" not in name else name

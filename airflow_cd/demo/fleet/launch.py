"""The starter's side of the fleet: start it in a process of its own, find it, stop it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from airflow_cd.demo.server_process import ServerProcess, launch

DEFAULT_ENVIRONMENTS: Mapping[str, int] = {
    "dev": 1,
    "test": 1,
    "edu": 1,
    "sandbox": 2,
    "staging": 2,
    "production": 10,
}
"""Instances of each environment."""

HEALTH_SECONDS = 2.0


class FleetProcess(ServerProcess):
    """A running fleet; a context manager that stops it, after which no process of it is left.

    ``info`` is what ``fleet.json`` holds: pid, deployment_api, routers, environments, telemetry, token.
    """

    @property
    def api_url(self) -> str:
        """Address of the deployment API, without a trailing slash."""
        return str(self.info["deployment_api"])

    @property
    def token(self) -> str:
        """Bearer token of the deployment API."""
        return str(self.info["token"])

    @property
    def telemetry(self) -> Path:
        """Folder with the instances' logs and transactions."""
        return Path(self.info["telemetry"])

    @property
    def routers(self) -> dict[str, str]:
        """Address of each environment's router."""
        return dict(self.info["routers"])

    @property
    def info_file(self) -> Path:
        """``fleet.json``, from which others learn where the fleet is."""
        return self.telemetry.parent / "fleet.json"


def start(
    root: Path,
    *,
    port: int = 0,
    all_interfaces: bool = False,
    environments: Mapping[str, int] | None = None,
    token: str | None = None,
    health_seconds: float = HEALTH_SECONDS,
) -> FleetProcess:
    """Start a fleet and wait until its API and routers answer; every instance is empty at first.

    :param root: folder of its own for ``fleet.json``, ``fleet.log`` and ``telemetry/``; made when missing.
    :param port: of the deployment API; 0 takes a free one.
    :param all_interfaces: whether the deployment API answers on every address of this machine, not on 127.0.0.1 alone.
    :param environments: instances of each environment; :data:`DEFAULT_ENVIRONMENTS` when None.
    :param token: bearer token of the deployment API; a random one when None.
    :param health_seconds: between two questions for an instance's health; two without an answer make it unhealthy.
    :raises AirflowCdError: when it does not start.
    """
    arguments = ["--root", str(root), "--port", str(port), "--health-seconds", str(health_seconds)]
    arguments += ["--environments", json.dumps(dict(DEFAULT_ENVIRONMENTS if environments is None else environments))]
    if all_interfaces:
        arguments.append("--all-interfaces")
    if token is not None:
        # In one word: a token may begin with a hyphen.
        arguments.append(f"--token={token}")
    return launch(FleetProcess, "airflow_cd.demo.fleet", arguments)

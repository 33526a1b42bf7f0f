"""What a pipeline deploys to and looks at, on this machine: fleet, traffic, New Relic, Sumo Logic, a repository."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from airflow_cd.demo import fleet, new_relic, sumo_logic, traffic
from airflow_cd.demo.fleet.launch import HEALTH_SECONDS
from airflow_cd.demo.server_process import ServerProcess
from airflow_cd.demo.shop import history

RATES = {"production": 40.0, "staging": 2.0}

Self = TypeVar("Self", bound="Surroundings")


class Surroundings:
    """Starts all of it, and ends everything it started, in whatever state it is.

    :param environments: instances of each environment of the fleet; the fleet's own by default.
    :param rates: requests a second for each environment.
    :param port: of the deployment API; New Relic on the next one, Sumo Logic on the one after. 0 takes free ones.
    :param all_interfaces: listen on every address of this machine instead of 127.0.0.1 alone.
    :param token: bearer token of the deployment API; a random one when None.
    :param repository: folder for the shop's repository; a temporary one when None.
    :param health_seconds: between two questions of the fleet for an instance's health.

    ``no_commits`` says why the shop has no repository, ``""`` when it has one.
    """

    def __init__(
        self,
        *,
        environments: Mapping[str, int] | None = None,
        rates: Mapping[str, float] = RATES,
        port: int = 0,
        all_interfaces: bool = False,
        token: str | None = None,
        repository: Path | None = None,
        health_seconds: float = HEALTH_SECONDS,
    ) -> None:
        self._environments = environments
        self._rates = dict(rates)
        self._ports = (port, port + 1, port + 2) if port else (0, 0, 0)
        self._all_interfaces = all_interfaces
        self._token = token
        self._repository = repository
        self._health_seconds = health_seconds
        self._stack = contextlib.ExitStack()
        self.root = self.repository = Path()
        self.no_commits = ""

    def start(self) -> None:
        """Start all of it; raises :class:`AirflowCdError` saying what did not come up, with nothing left running."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        enter, all_interfaces = self._stack.enter_context, self._all_interfaces
        api, metrics, logs = self._ports
        self.root = Path(enter(tempfile.TemporaryDirectory(prefix="airflow-cd-", ignore_cleanup_errors=True)))
        self.fleet = enter(
            fleet.start(
                self.root / "fleet",
                environments=self._environments,
                port=api,
                all_interfaces=all_interfaces,
                token=self._token,
                health_seconds=self._health_seconds,
            )
        )
        self.new_relic = enter(new_relic.start(self.fleet.telemetry, port=metrics, all_interfaces=all_interfaces))
        self.sumo_logic = enter(sumo_logic.start(self.fleet.telemetry, port=logs, all_interfaces=all_interfaces))
        self.traffic = enter(traffic.start(self.fleet.info_file, rates=self._rates))
        self.repository = self._repository or self.root / "shop.git"
        self.no_commits = history.build(self.repository)

    def stop(self) -> None:
        """End every process and remove every file, a given repository excepted."""
        self._stack.close()

    def __enter__(self: Self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def connections(self) -> dict[str, str]:
        """The Airflow connections of the pipelines, as environment variables."""
        api = {"conn_type": "deployment_api", "host": self.fleet.api_url, "password": self.fleet.token}
        found: dict[str, dict[str, Any]] = {f"AIRFLOW_CONN_HTTP_{name.upper()}": api for name in self.fleet.routers}
        found["AIRFLOW_CONN_NEW_RELIC_DEFAULT"] = {
            "conn_type": "new_relic",
            "host": self.new_relic.url,
            "password": self.new_relic.api_key,
            "extra": {"account_id": self.new_relic.account_id},
        }
        found["AIRFLOW_CONN_SUMO_LOGIC_DEFAULT"] = {
            "conn_type": "sumo_logic",
            "host": self.sumo_logic.url,
            "login": self.sumo_logic.access_id,
            "password": self.sumo_logic.access_key,
        }
        found["AIRFLOW_CONN_GIT_SHOP"] = {"conn_type": "git", "host": str(self.repository)}
        return {name: json.dumps(connection) for name, connection in found.items()}

    def running(self, environment: str) -> dict[str, dict[str, Any]]:
        """What the fleet itself says runs on each instance: artifact, configuration, health."""
        return running(self.fleet.api_url, self.fleet.token, environment)

    def dead(self) -> list[str]:
        """The parts that have died, by name."""
        parts: dict[str, ServerProcess] = {
            "the fleet": self.fleet,
            "New Relic's server": self.new_relic,
            "Sumo Logic's server": self.sumo_logic,
            "the traffic": self.traffic,
        }
        return [name for name, part in parts.items() if not part.is_running()]


def running(api_url: str, token: str, environment: str) -> dict[str, dict[str, Any]]:
    """What a fleet says runs on each instance of an environment: artifact, configuration, health."""
    answer = httpx.get(
        f"{api_url}/v1/environments/{environment}/instances",
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
        verify=False,  # noqa: S501 - plain HTTP on loopback; loading certificates costs more than the request
    )
    answer.raise_for_status()
    return {row["name"]: row for row in answer.json()["instances"]}

"""Everything a pipeline needs around it, on this machine: fleet, traffic, New Relic, Sumo Logic, Airflow."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

import airflow_cd
from airflow_cd.demo import fleet, new_relic, sumo_logic, traffic
from airflow_cd.demo.airflow_client import AirflowClient
from airflow_cd.demo.airflow_server import AirflowServer
from airflow_cd.demo.server_process import ServerProcess
from airflow_cd.demo.shop import history
from airflow_cd.errors import AirflowCdError
from airflow_cd.ledger import Ledger, open_ledger

RATES = {"production": 40.0, "staging": 2.0}


def example_dags() -> Path:
    """The folder of the example pipelines: of the checkout, or inside the installed package."""
    package = Path(airflow_cd.__file__).parent
    for folder in (package.parent / "dags", package / "dags"):
        if (folder / "build_com.py").is_file():
            return folder
    raise AirflowCdError("the example pipelines are not installed.", next_step="Install the package again.")


class World:
    """Starts everything, and ends everything it started, in whatever state it is.

    :param dags: folder of DAG files for Airflow.
    :param port: of the Airflow UI; 0 takes a free one.
    :param environments: instances of each environment of the fleet; the fleet's own by default.
    :param rates: requests a second for each environment.
    :param users: names and roles in Airflow.
    :param settings: further environment variables for Airflow.

    ``no_commits`` says why the shop has no repository, ``""`` when it has one.
    """

    def __init__(
        self,
        *,
        dags: Path | None = None,
        port: int = 0,
        environments: Mapping[str, int] | None = None,
        rates: Mapping[str, float] = RATES,
        users: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._dags = dags or example_dags()
        self._port = port
        self._environments = environments
        self._rates = dict(rates)
        self._users = users
        self._given = dict(settings or {})
        self._stack = contextlib.ExitStack()
        self.root = Path()
        self.ledger_url = ""
        self.no_commits = ""

    def start(self) -> World:
        """Start all of it; raises :class:`AirflowCdError` saying what did not come up, with nothing left running."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="airflow-cd-", ignore_cleanup_errors=True)
        self.root = Path(self._stack.enter_context(directory))
        self.ledger_url = f"sqlite:///{self.root / 'airflow_cd.db'}"
        self.fleet = self._stack.enter_context(fleet.start(self.root / "fleet", environments=self._environments))
        self.new_relic = self._stack.enter_context(new_relic.start(self.fleet.telemetry))
        self.sumo_logic = self._stack.enter_context(sumo_logic.start(self.fleet.telemetry))
        self.traffic = self._stack.enter_context(traffic.start(self.fleet.info_file, rates=self._rates))
        self.no_commits = history.build(self.root / "shop.git")
        settings = {**self.connections(), "AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN": self.ledger_url, **self._given}
        self.airflow = AirflowServer(
            self.root / "airflow", dags=self._dags, port=self._port, environment=settings, users=self._users
        )
        self._stack.callback(self.airflow.stop)
        self.airflow.start()

    def stop(self) -> None:
        """End every process and remove every file."""
        self._stack.close()

    def __enter__(self) -> World:
        return self.start()

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
        found["AIRFLOW_CONN_GIT_SHOP"] = {"conn_type": "git", "host": str(self.root / "shop.git")}
        return {name: json.dumps(connection) for name, connection in found.items()}

    def client(self, user: str | None = None) -> AirflowClient:
        """A logged-in user of the Airflow API; its connections are closed with the world."""
        client = AirflowClient(self.airflow.url, user or self.airflow.user, self.airflow.password)
        self._stack.callback(client.close)
        return client

    def ledger(self) -> Ledger:
        """The ledger the pipelines write to."""
        return open_ledger(self.ledger_url)

    def running(self, environment: str) -> dict[str, dict[str, Any]]:
        """What the fleet itself says runs on each instance: artifact, configuration, health."""
        answer = httpx.get(
            f"{self.fleet.api_url}/v1/environments/{environment}/instances",
            headers={"Authorization": f"Bearer {self.fleet.token}"},
            timeout=10,
        )
        answer.raise_for_status()
        return {row["name"]: row for row in answer.json()["instances"]}

    def dead(self) -> list[str]:
        """The parts that have died, by name."""
        parts: dict[str, ServerProcess | AirflowServer] = {
            "the fleet": self.fleet,
            "New Relic's server": self.new_relic,
            "Sumo Logic's server": self.sumo_logic,
            "the traffic": self.traffic,
            "Airflow": self.airflow,
        }
        return [name for name, part in parts.items() if not part.is_running()]

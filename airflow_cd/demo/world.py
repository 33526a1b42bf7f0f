"""Everything a pipeline needs around it, on this machine: its surroundings, and Airflow in the midst of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import airflow_cd
from airflow_cd.demo.airflow_client import AirflowClient
from airflow_cd.demo.airflow_server import AirflowServer
from airflow_cd.demo.fleet.launch import HEALTH_SECONDS
from airflow_cd.demo.surroundings import RATES, Surroundings
from airflow_cd.errors import AirflowCdError
from airflow_cd.ledger import Ledger, open_ledger


def example_dags() -> Path:
    """The folder of the example pipelines: of the checkout, or inside the installed package."""
    package = Path(airflow_cd.__file__).parent
    for folder in (package.parent / "dags", package / "dags"):
        if (folder / "build_com.py").is_file():
            return folder
    raise AirflowCdError("the example pipelines are not installed.", next_step="Install the package again.")


class World(Surroundings):
    """The surroundings and an Airflow of its own; starts everything, and ends everything it started.

    :param dags: folder of DAG files for Airflow.
    :param port: of the Airflow UI; 0 takes a free one.
    :param environments: instances of each environment of the fleet; the fleet's own by default.
    :param rates: requests a second for each environment.
    :param users: names and roles in Airflow.
    :param settings: further environment variables for Airflow.
    :param health_seconds: between two questions of the fleet for an instance's health.
    """

    server: type[AirflowServer] = AirflowServer

    def __init__(
        self,
        *,
        dags: Path | None = None,
        port: int = 0,
        environments: Mapping[str, int] | None = None,
        rates: Mapping[str, float] = RATES,
        users: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        health_seconds: float = HEALTH_SECONDS,
    ) -> None:
        super().__init__(environments=environments, rates=rates, health_seconds=health_seconds)
        self._dags = dags or example_dags()
        self._port = port
        self._users = users
        self._given = dict(settings or {})
        self.ledger_url = ""

    def _start(self) -> None:
        super()._start()
        self.ledger_url = f"sqlite:///{self.root / 'airflow_cd.db'}"
        settings = {**self.connections(), "AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN": self.ledger_url, **self._given}
        self.airflow = self.server(
            self.root / "airflow", dags=self._dags, port=self._port, environment=settings, users=self._users
        )
        self._stack.callback(self.airflow.stop)
        self.airflow.start()

    def client(self, user: str | None = None) -> AirflowClient:
        """A logged-in user of the Airflow API; its connections are closed with the world."""
        client = AirflowClient(self.airflow.url, user or self.airflow.user, self.airflow.password)
        self._stack.callback(client.close)
        return client

    def ledger(self) -> Ledger:
        """The ledger the pipelines write to."""
        return open_ledger(self.ledger_url)

    def dead(self) -> list[str]:
        """The parts that have died, by name."""
        return [*super().dead(), *([] if self.airflow.is_running() else ["Airflow"])]

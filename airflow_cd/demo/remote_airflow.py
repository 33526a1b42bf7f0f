"""An Airflow that others started, such as the one of ``docker/``, for the story to run on."""

from __future__ import annotations

import json
import os
from typing import Any

from airflow_cd.demo.airflow_client import AirflowClient, wait_until
from airflow_cd.demo.airflow_server import START_SECONDS, healthy
from airflow_cd.demo.surroundings import running
from airflow_cd.errors import AirflowCdError
from airflow_cd.ledger import Ledger, open_ledger


class RemoteAirflow:
    """Known by its address, and by what this process's environment says of the fleet and of the ledger.

    The fleet is where the connection ``http_<environment>`` says, the ledger where ``[airflow_cd] sql_alchemy_conn``
    does, both as the pipelines there have them.

    :param url: of the API server, without ``/api/v2``.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self.user = user
        self._password = password

    def wait(self) -> None:
        """Return when it is healthy; raises :class:`AirflowCdError` when it does not come up."""
        wait_until(lambda: healthy(self.url), f"Airflow at {self.url} is healthy", seconds=START_SECONDS, every=1.0)

    def client(self) -> AirflowClient:
        """A logged-in user of the Airflow API."""
        return AirflowClient(self.url, self.user, self._password)

    def ledger(self) -> Ledger:
        """The ledger the pipelines write to."""
        return open_ledger()

    def running(self, environment: str) -> dict[str, dict[str, Any]]:
        """What the fleet itself says runs on each instance: artifact, configuration, health."""
        name = f"AIRFLOW_CONN_HTTP_{environment.upper()}"
        try:
            connection = json.loads(os.environ[name])
            address, token = str(connection["host"]), str(connection["password"])
        except (KeyError, TypeError, ValueError):
            raise AirflowCdError(
                f"the address of the fleet's {environment} is unknown.",
                state="Nothing was triggered.",
                next_step=f'Set {name} to JSON with "host" and "password", as Airflow\'s workers have it.',
            ) from None
        return running(address, token, environment)

    def dead(self) -> list[str]:
        """Nothing: whoever started its parts watches them."""
        return []

"""Airflow whose parts come up again, the fleet behind a proxy, and the ledger on a PostgreSQL of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from airflow_cd.demo.airflow_server import healthy
from airflow_cd.errors import LedgerError
from airflow_cd.ledger import open_ledger
from airflow_cd.ledger.models import LeaseRow
from airflow_cd.release import Release
from tests import postgres
from tests.faults.components import RestartingWorld
from tests.faults.proxy import Proxy
from tests.faults.site import INSTANCES, PARSED_AGAIN, TEMPLATE, kill

WATCHED = "6s"
AIRFLOW = {
    "max_connections": "200",
    # Workers of a LocalExecutor inherit their scheduler's connection: of one that is killed alone in a transaction they
    # hold its locks for as long as they live, and the next scheduler waits for them.
    "idle_in_transaction_session_timeout": "20s",
}
LEDGER = {
    # What a killed server has said is recorded must be there afterwards.
    "synchronous_commit": "on",
    "max_connections": "200",
}


class Place:
    """Airflow, the fleet behind a proxy, and the ledger on a PostgreSQL of its own.

    :param folder: for DAG files and scripts.
    :param lanes: names of the environments.
    """

    def __init__(self, folder: Path, lanes: list[str]) -> None:
        self.dags, self.scripts = folder / "dags", folder / "scripts"
        self._lanes = lanes
        self.struck = 0.0
        """When all environments were last hit, by the clock that never goes backwards."""
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Place:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def _start(self, stack: contextlib.ExitStack) -> None:
        for made in (self.dags, self.scripts):
            made.mkdir(parents=True)
        for name in self._lanes:
            (self.scripts / f"{name}.json").write_text(json.dumps({"duration": WATCHED}))
            shutil.copy(TEMPLATE, self.dags / f"{name}.py")
        self.postgres = stack.enter_context(postgres.Server(LEDGER))
        self.ledger_url = postgres.create_database(self.postgres.url, "ledger")
        self.ledger = open_ledger(self.ledger_url, check=False)
        self.ledger.migrate()
        airflow = stack.enter_context(postgres.Server(AIRFLOW))
        self.world = RestartingWorld(
            dags=self.dags,
            environments=dict.fromkeys(self._lanes, INSTANCES),
            rates=dict.fromkeys(self._lanes, 2.0),
            settings={
                **PARSED_AGAIN,
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow.url,
                "AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN": self.ledger_url,
                # Each killed worker holds a slot until Airflow finds out, which takes it five minutes.
                "AIRFLOW__CORE__PARALLELISM": "64",
                "FAULT_SCRIPTS": str(self.scripts),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
        )
        stack.enter_context(self.world)
        self.proxy = stack.enter_context(Proxy(self.world.fleet.api_url))
        self.client = self.world.client()
        api = {"conn_type": "deployment_api", "host": self.proxy.url, "password": self.world.fleet.token}
        self.client.call("POST", "/api/v2/connections", {"connection_id": "http_production", **api})

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def well(self) -> bool:
        """Whether Airflow answers, its scheduler lives, and a guard acts."""
        with contextlib.suppress(LedgerError):
            return healthy(self.world.airflow.url) and self.ledger.guarding.acting() is not None
        return False

    def rows(self, name: str) -> dict[str, dict[str, Any]]:
        """What the fleet says runs on each instance."""
        return self.world.running(name)

    def traffic(self, name: str) -> list[dict[str, Any]]:
        """Which requests reached what on each instance."""
        found: list[dict[str, Any]] = self.fleet("GET", f"/v1/environments/{name}/traffic").json()["instances"]
        return found

    def fleet(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
        """One request to the deployment API, past the proxy."""
        token = {"Authorization": f"Bearer {self.world.fleet.token}"}
        return httpx.request(
            method,
            f"{self.world.fleet.api_url}{path}",
            json=body,
            headers={**token, **(headers or {})},
            timeout=30,
            verify=False,
        )

    def put(self, name: str, release: Release, instances: list[str], key: str) -> None:
        """Bring a release to instances, past every pipeline."""
        headers = {"Idempotency-Key": f"{name}-{key}", "Fencing-Token": str(self._token(name))}
        body = {"release": release.as_dict(), "instances": instances}
        self.fleet("PUT", f"/v1/environments/{name}/release", body, headers).raise_for_status()

    def _token(self, name: str) -> int:
        """The newest token of the environment; the next owner's is higher."""
        engine = sa.create_engine(self.ledger_url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            query = sa.select(LeaseRow.token).where(LeaseRow.service == "shop", LeaseRow.environment == name)
            return int(connection.scalar(query) or 0)

    def kill(self, *words: str) -> int:
        """Kill -9 every process of Airflow with one of the words in its command line; its keeper stays."""
        return kill(self.world.airflow.processes(), words, spared="tests.faults.components")

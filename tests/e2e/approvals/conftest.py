"""A real Airflow with pipelines that ask people, and nothing to deploy to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_cd.demo.airflow_client import AirflowClient
from airflow_cd.demo.airflow_server import AirflowServer
from airflow_cd.ledger import Ledger, open_ledger
from tests.e2e.conftest import AirflowDatabase
from tests.pace import PATIENCE
from tests.tiers import starts

FILE = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow_cd import Approval, Canary, Environment, Pipeline, Verification
from airflow_cd.sources import SumoLogicLogs

after = EmptyOperator(task_id="after")
dag = Pipeline("asks", service="shop", stages=[Approval(approvers=["alice"]), after]).dag()

logs = [SumoLogicLogs(query="_sourceCategory=shop")]
canary = Canary(
    Environment("production", target="http_nowhere"),
    phases={phases},
    verify=Verification(logs=logs, duration="{duration}"),
)
other = Pipeline("changes", service="shop", stages=[Approval(approvers=["alice"]), canary]).dag()
"""


@dataclass
class Asking:
    """The Airflow, and who is there."""

    airflow: AirflowServer
    ledger: Ledger
    admin: AirflowClient
    alice: AirflowClient

    def write(self, *, phases: str = "[20, 100]", duration: str = "30s") -> None:
        """Write the file of both pipelines."""
        (self.airflow.dags / "asking.py").write_text(FILE.format(phases=phases, duration=duration))

    def page(self, path: str, **form: str) -> httpx.Response:
        """What a page answers to a form of alice's."""
        login = {"username": "alice", "password": self.airflow.password}
        token = httpx.post(f"{self.airflow.url}/auth/token", json=login, timeout=PATIENCE).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.post(f"{self.airflow.url}/airflow-cd{path}", data=form, headers=headers, timeout=PATIENCE)

    def command(self, *arguments: str) -> str:
        """What a command of Airflow's says."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.airflow.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return done.stdout + done.stderr


@pytest.fixture(scope="package")
@starts("e2e")
def asking(tmp_path_factory: pytest.TempPathFactory, airflow_database: AirflowDatabase) -> Iterator[Asking]:
    home = tmp_path_factory.mktemp("asking")
    dags = home / "dags"
    dags.mkdir()
    url = f"sqlite:///{home}/ledger.db"
    settings = {
        **airflow_database("asking"),
        "AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN": url,
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2",
        "AIRFLOW_CONN_HTTP_NOWHERE": "deployment-api://127.0.0.1:9",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    users = {"admin": "admin", "alice": "op"}
    clients: list[Any] = []
    server = AirflowServer(home / "airflow", dags=dags, environment=settings, users=users)
    found = Asking(server, open_ledger(url), admin=None, alice=None)  # type: ignore[arg-type]
    found.write()
    with server:
        for name in users:
            clients.append(AirflowClient(server.url, name, server.password))
        found.admin, found.alice = clients
        for dag_id in ("asks", "changes"):
            found.admin.wait_for_dag(dag_id)
        yield found
        for client in clients:
            client.close()

"""A real Airflow with a fleet of its own, an environment and a pipeline for each fault; and the truth about them."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import psutil

from airflow_cd.demo.airflow_client import AirflowClient, wait_until
from airflow_cd.demo.world import World
from airflow_cd.ledger import Deployment, Finding, Ledger
from airflow_cd.release import Release
from airflow_cd.states import DeploymentState
from tests.pace import PATIENCE
from tests.tiers import UNHURRIED

TEMPLATE = Path(__file__).parent / "dags" / "template.py"
OLD, NEW = Release("shop", "1.0", "shop:1.0"), Release("shop", "1.1", "shop:1.1")
INSTANCES = 4
PARSED_AGAIN = {
    # As Airflow ships them where that matters; files are looked at oftener, so that a fault is one sooner.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "50",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "10",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "3",
    # A test's own process has it; Airflow as it is installed reads its connections.
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
}


class Site:
    """What a fault is tried on.

    :param folder: for DAG files and scripts.
    :param cases: by name of the environment, which is also the pipeline's, its settings.
    :param settings: further environment variables for Airflow.
    """

    def __init__(
        self, folder: Path, cases: Mapping[str, Mapping[str, Any]], settings: Mapping[str, str] | None = None
    ) -> None:
        self.dags, self.scripts = folder / "dags", folder / "scripts"
        for made in (self.dags, self.scripts):
            made.mkdir(parents=True)
        for name, given in cases.items():
            (self.scripts / f"{name}.json").write_text(json.dumps(given))
            shutil.copy(TEMPLATE, self.dags / f"{name}.py")
        self._pages = folder / "pages"
        page = folder / "page"
        page.write_text(f"#!/bin/sh\ncat >> {self._pages}\n")
        page.chmod(0o755)
        self.world = World(
            dags=self.dags,
            environments=dict.fromkeys(cases, INSTANCES),
            rates=dict.fromkeys(cases, 1.0),
            settings={
                **UNHURRIED,
                **PARSED_AGAIN,
                # Not the one of the tests' own process, which tests of other folders look into.
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder.absolute()}/airflow.db",
                "FAULT_SCRIPTS": str(self.scripts),
                "AIRFLOW__AIRFLOW_CD__PAGE_COMMAND": str(page),
                "PYTHONPATH": str(Path(__file__).parents[2]),
                **(settings or {}),
            },
        )
        self._cases = list(cases)
        self._watchers: list[Any] = []

    def __enter__(self) -> Site:
        self.world.start()
        # Every environment is in one fleet, so one connection reaches all of them.
        connection = self.world.connections()[f"AIRFLOW_CONN_HTTP_{self._cases[0].upper()}"]
        self.client: AirflowClient = self.world.client()
        given = json.loads(connection)
        self.client.call("POST", "/api/v2/connections", {"connection_id": "http_production", **given})
        for name in self._cases:
            self._put(name)
        return self

    def __exit__(self, *error: object) -> None:
        self.world.stop()

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger()

    # -- a release under way -----------------------------------------------------------------------------------

    def start(self, case: str, run_id: str = "run") -> None:
        """Trigger the pipeline."""
        self.client.unpause(case)
        self.client.trigger(case, {"version": NEW.version}, run_id=run_id)

    def watched(self, case: str) -> None:
        """Return when the first phase serves and is looked at."""
        wait_until((self.scripts / f"{case}.looked").exists, f"{case} is looked at", seconds=PATIENCE, every=0.1)

    def turn_bad(self, case: str) -> None:
        """Let the new release log an exception from now on."""
        (self.scripts / f"{case}.bad").write_text(datetime.now(timezone.utc).isoformat())

    def deployment(self, case: str, run_id: str = "run") -> Deployment | None:
        return self.ledger.deployments.of_run(case, run_id, "shop", case)

    def findings(self, case: str) -> list[Finding]:
        return self.ledger.guarding.findings(case)

    # -- processes ---------------------------------------------------------------------------------------------

    def kill_worker(self, case: str, task: str, run_id: str = "run") -> None:
        """Kill -9 the process of a task, and the supervisor above it."""
        for one in self._worker(case, task, run_id):
            one.send_signal(signal.SIGKILL)

    def end_worker(self, case: str, task: str, run_id: str = "run") -> None:
        """Tell the process of a task, and the supervisor above it, to end; kill what is left after ten seconds."""
        found = self._worker(case, task, run_id)
        for one in found:
            one.terminate()
        for one in psutil.wait_procs(found, timeout=10)[1]:
            one.kill()

    def _worker(self, case: str, task: str, run_id: str) -> list[psutil.Process]:
        path = f"/api/v2/dags/{case}/dagRuns/{run_id}/taskInstances/{case}.{task}"
        process = psutil.Process(int(self.client.call("GET", path)["pid"]))
        return [one for one in (process.parent(), process) if one is not None]

    def pages(self) -> str:
        """What a person was told, as JSON."""
        return self._pages.read_text() if self._pages.exists() else ""

    def restart_airflow(self) -> None:
        """Start Airflow again after all of it was killed; return when it answers."""
        server = self.world.airflow
        # Whoever watches over the killed one would end the new one, too, as soon as nobody holds it.
        self._watchers.append(server._guard)
        server.start()
        self.client = self.world.client()

    @contextlib.contextmanager
    def ledger_locked(self) -> Iterator[None]:
        """Keep everybody from writing to the ledger."""
        connection = sqlite3.connect(self.world.ledger_url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.rollback()
            connection.close()

    def kill(self, *words: str) -> int:
        """Kill -9 every process of this Airflow whose command line has one of the words; gives their number."""
        return kill(self.world.airflow.processes(), words)

    # -- the truth ---------------------------------------------------------------------------------------------

    def rows(self, case: str) -> dict[str, dict[str, Any]]:
        return self.world.running(case)

    def served_by(self, case: str) -> set[str | None]:
        """Artifacts that get requests."""
        return {row["artifact"] for row in self.rows(case).values() if not row["drained"]}

    def wrong(self, case: str, *, final: bool = True) -> list[str]:
        """What is not as it must be, as the fleet and the ledger say it; empty when all is well."""
        rows, deployment = self.rows(case), self.deployment(case)
        artifacts = sorted({str(row["artifact"]) for row in rows.values()})
        found = [f"half: {', '.join(artifacts)}"] if len(artifacts) > 1 else []
        found += [f"{name} is drained" for name, row in rows.items() if row["drained"]]
        found += [f"{name} is {row['health']}" for name, row in rows.items() if row["health"] != "healthy"]
        if deployment is None:
            return [*found, *(["something was deployed without a record"] if artifacts != [OLD.artifact] else [])]
        if final and not DeploymentState(deployment.state).final:
            found.append(f"the ledger says {deployment.state}: {deployment.outcome}")
        says = {DeploymentState.PROMOTED: NEW.artifact, DeploymentState.ROLLED_BACK: OLD.artifact}
        expected = says.get(DeploymentState(deployment.state))
        if expected is not None and artifacts != [expected]:
            found.append(f"the ledger says {deployment.state}, the fleet {', '.join(artifacts)}")
        lease = self.ledger.leases.current("shop", case)
        if final and lease is not None:
            found.append(f"{lease.run_id} still owns the environment")
        return found

    def until(self, condition: Callable[[], bool], what: str, *, seconds: float) -> float:
        """Wait, and give the seconds that it took."""
        began = time.monotonic()
        wait_until(condition, what, seconds=seconds, every=0.25)
        return time.monotonic() - began

    def _put(self, case: str) -> None:
        answer = httpx.put(
            f"{self.world.fleet.api_url}/v1/environments/{case}/release",
            json={"release": OLD.as_dict(), "instances": sorted(self.rows(case))},
            headers={
                "Authorization": f"Bearer {self.world.fleet.token}",
                "Idempotency-Key": f"{case}-first",
                "Fencing-Token": "0",
            },
            timeout=PATIENCE,
        )
        answer.raise_for_status()


def kill(processes: Sequence[psutil.Process], words: Sequence[str], *, spared: str = "") -> int:
    """Kill -9 those whose command line has one of the words; all of them when there are none.

    :param processes: among these.
    :param words: parts of command lines.
    :param spared: part of the command line of one that lives on.
    :returns: how many.
    """
    killed = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if (not spared or spared not in line) and (not words or any(word in line for word in words)):
                process.send_signal(signal.SIGKILL)
                killed += 1
    return killed

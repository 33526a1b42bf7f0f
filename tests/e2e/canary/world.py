"""Many environments, each with a pipeline of its own, on one Airflow and one fleet: one for each case."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx

from airflow_cd.demo.airflow_client import wait_until
from airflow_cd.demo.world import World
from airflow_cd.release import Release
from tests.pace import PATIENCE

DAGS = Path(__file__).parent / "dags"
OLD, NEW = {"shop:1.0"}, {"shop:1.1"}
CASES: dict[str, dict[str, object]] = {
    "fails-at-half": {},
    "fails-at-all": {"duration": "8s"},
    "verify-dies": {},
    "verify-killed": {"duration": "10s"},
    "verify-marked-success": {"duration": "5m"},
    "verify-marked-failed": {"duration": "5m"},
    "stopped-on-its-page": {"duration": "5m"},
    "rolled-back-later": {},
    "run-marked-failed": {"duration": "5m"},
    "run-marked-success": {"duration": "5m"},
    "marked-after-crash": {},
    "cleared-after-fail": {},
    "human-verifies-again": {},
    "rejected": {"approval": True},
    "approved-at-once": {"approval": True},
    "not-an-approver": {"approval": True},
    "two-runs": {"duration": "6s"},
    "owner-is-gone": {},
    "unknown-version": {},
    "dies-while-deployed": {},
    "api-away-for-the-rollback": {"target": "http_impatient", "duration": "5m"},
    "new-relic-refuses": {"new_relic": "new_relic_wrong", "ask_timeout": "20s"},
    "no-traffic": {"new_relic": "new_relic_default"},
    "first-release": {"duration": "5m", "empty": True},
    "silent-at-first": {},
    "silent-and-marked": {},
    "smoke-tests-fail": {"checks": {"passed": 11, "failed": 1}, "duration": "15m"},
}
"""What the pipeline of each case has instead of the usual: see ``dags/canaries.py``."""

TRAFFIC = {"new-relic-refuses": 4.0}
"""Requests a second to the environments that have any."""


class Canaries:
    """Every case has an environment of two instances that run shop 1.0, and a pipeline ``canary_<case>``.

    :param scripts: folder in which the tests write what each case's logs hold.
    """

    def __init__(self, world: World, scripts: Path) -> None:
        self.world = world
        self.scripts = scripts
        self.client = world.client()

    # -- one case ----------------------------------------------------------------------------------------------

    def start(self, case: str, version: str = "1.1", run_id: str = "run", **conf: object) -> None:
        """Trigger the case's pipeline."""
        self.client.wait_for_dag(f"canary_{case}")
        self.client.trigger(f"canary_{case}", {"version": version, **conf}, run_id=run_id)

    def run(self, case: str, *, bad: str = "", die: bool = False, **conf: str) -> str:
        """Run the case from trigger to end without touching it; gives the state of the run.

        :param bad: end of the name of the instance whose new release logs an error.
        :param die: whether the process of the verification ends at its first look.
        """
        if bad or die:
            self.script(case, bad=bad, die=die)
        self.start(case, **conf)
        return self.ends(case)

    def ends(self, case: str, run_id: str = "run") -> str:
        """The state that the run ends in; no instance is left drained."""
        state = self.client.wait_for_run(f"canary_{case}", run_id, seconds=PATIENCE)
        assert self.drained(case) == set()
        return state

    def tasks(self, case: str, run_id: str = "run") -> dict[str, str | None]:
        """States of the tasks, by their names inside the case's environment."""
        found = self.client.tasks(f"canary_{case}", run_id)
        return {task.removeprefix(f"{case}."): state for task, state in found.items()}

    def wait_for(self, case: str, task: str, *states: str, run_id: str = "run") -> None:
        """Return when a task is in one of the states."""
        self.client.wait_for_task(f"canary_{case}", run_id, f"{case}.{task}", *states, seconds=PATIENCE)

    def watching(self, case: str, run_id: str = "run") -> None:
        """Return when the verification of the first phase has looked at least once."""
        self.wait_for(case, "phase_50.verify", "running", run_id=run_id)
        wait_until((self.scripts / f"{case}.pid").exists, f"{case} is looked at", seconds=PATIENCE)

    def mark(self, case: str, task: str, state: str, note: str = "") -> None:
        """Mark a task as the grid does."""
        self.client.mark(f"canary_{case}", "run", f"{case}.{task}", state, note)

    def answer(self, case: str, option: str, reason: str) -> None:
        """Answer what the verification of the first phase asks."""
        self.client.answer(f"canary_{case}", "run", f"{case}.phase_50.verify", option, reason)

    def log(self, case: str, task: str, attempt: int = 1) -> str:
        """The log of a task."""
        return self.client.task_log(f"canary_{case}", "run", f"{case}.{task}", attempt)

    def script(self, case: str, **content: object) -> None:
        """Write what the case's logs hold from now on: errors of the instance whose name ends with ``bad``."""
        content = {"after": datetime.now(timezone.utc).isoformat(), **content}
        (self.scripts / f"{case}.json").write_text(json.dumps(content))

    def artifacts(self, case: str) -> set[str | None]:
        return {row["artifact"] for row in self.world.running(case).values()}

    def drained(self, case: str) -> set[str]:
        return {name for name, row in self.world.running(case).items() if row["drained"]}

    # -- the deployment API --------------------------------------------------------------------------------------

    def fleet(self, method: str, path: str, body: object = None) -> httpx.Response:
        """One request to the deployment API."""
        headers = {"Authorization": f"Bearer {self.world.fleet.token}"}
        url = f"{self.world.fleet.api_url}{path}"
        answer = httpx.request(method, url, json=body, headers=headers, timeout=PATIENCE)
        answer.raise_for_status()
        return answer

    def fault(self, case: str, **content: object) -> None:
        """Let the deployment API go wrong for the case's environment."""
        self.fleet("PUT", "/v1/faults", {"path_prefix": f"/v1/environments/{case}/", **content})

    def repair(self, case: str) -> None:
        """Let the deployment API work again for the case's environment."""
        self.fleet("DELETE", f"/v1/faults?path_prefix=/v1/environments/{case}/")

    def put(self, case: str, release: Release, *, token: int) -> None:
        """Bring a release to the case's environment, past every pipeline."""
        answer = httpx.put(
            f"{self.world.fleet.api_url}/v1/environments/{case}/release",
            json={"release": release.as_dict(), "instances": sorted(self.world.running(case))},
            headers={
                "Authorization": f"Bearer {self.world.fleet.token}",
                "Idempotency-Key": f"{case}-{release.version}",
                "Fencing-Token": str(token),
            },
            timeout=PATIENCE,
        )
        answer.raise_for_status()

    # -- Airflow and its pages -------------------------------------------------------------------------------------

    def process_of(self, dag_id: str, run_id: str, task_id: str) -> int:
        """Id of the process that a task runs in."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        return int(self.client.call("GET", path)["pid"])

    def send(self, path: str, **form: str) -> str:
        """Send a form of a page as its admin; gives the address of the page that it leads to."""
        server = self.world.airflow
        login = {"username": server.user, "password": server.password}
        token = httpx.post(f"{server.url}/auth/token", json=login, timeout=PATIENCE).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.post(server.url + path, data=form, headers=headers, timeout=PATIENCE)
        assert answer.is_redirect, answer.text
        return answer.headers["location"]

    def promoted(self, case: str, version: str) -> None:
        """Have a version there, healthy, and in the ledger as a run of the case's pipeline has promoted it."""
        ledger, release = self.world.ledger(), Release("shop", version, f"shop:{version}")
        place = {"pipeline": f"canary_{case}", "run_id": version, "ttl": timedelta(minutes=5)}
        lease = ledger.leases.acquire("shop", case, **place)
        deployment = ledger.deployments.open(
            lease,
            release,
            previous=dict.fromkeys(self.world.running(case), Release("shop", "1.0", "shop:1.0")),
            reason="",
            triggered_by="admin",
            rollback="automatic",
            learn=False,
        )
        self.put(case, release, token=lease.token)
        wait_until(
            lambda: (
                {(row["artifact"], row["health"]) for row in self.world.running(case).values()}
                == {(release.artifact, "healthy")}
            ),
            f"{case} runs {version}",
            seconds=PATIENCE,
        )
        ledger.settlement.promote(deployment.id, token=lease.token, outcome="good")
        ledger.leases.release(lease)


def other_connections(world: World) -> dict[str, dict[str, object]]:
    """Connections as a person may have got them wrong, and one that soon gives up."""
    account = json.dumps({"account_id": world.new_relic.account_id})
    return {
        "http_impatient": {
            "conn_type": "deployment_api",
            "host": world.fleet.api_url,
            "password": world.fleet.token,
            "extra": json.dumps({"retry_for": 2}),
        },
        "new_relic_wrong": {
            "conn_type": "new_relic",
            "host": world.new_relic.url,
            "password": "NRAK-of-somebody-else",
            "extra": account,
        },
    }

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest

from airflow_cd.demo.airflow_client import wait_until
from airflow_cd.demo.world import World
from airflow_cd.release import Release

DAGS = Path(__file__).parent / "dags"
CASES: dict[str, dict[str, object]] = {
    "passes": {},
    "fails-at-half": {},
    "fails-at-all": {"duration": "8s"},
    "does-not-start": {},
    "verify-dies": {},
    "verify-killed": {"duration": "60s"},
    "verify-marked-success": {"duration": "60s"},
    "verify-marked-failed": {"duration": "60s"},
    "stopped-on-its-page": {"duration": "60s"},
    "rolled-back-later": {},
    "run-marked-failed": {"duration": "60s"},
    "run-marked-success": {"duration": "60s"},
    "marked-after-crash": {},
    "marked-after-fail": {},
    "cleared-after-fail": {},
    "human-goes-on": {},
    "human-rolls-back": {},
    "human-verifies-again": {},
    "rejected": {"approval": True},
    "approved-at-once": {"approval": True},
    "not-an-approver": {"approval": True},
    "two-runs": {"duration": "6s"},
    "unknown-version": {},
    "dies-while-deployed": {},
    "api-away": {"target": "http_nowhere"},
    "api-answers-rubbish": {},
    "api-away-for-the-rollback": {"target": "http_impatient"},
    "new-relic-refuses": {"new_relic": "new_relic_wrong"},
    "sumo-logic-refuses": {"sumo_logic": "sumo_logic_wrong"},
    "query-finds-nothing": {"sumo_logic": "sumo_logic_default", "query": "_sourceCategory=no/such/thing"},
    "no-traffic": {"new_relic": "new_relic_default"},
}
TRAFFIC = {"passes": 1.0, "new-relic-refuses": 4.0, "sumo-logic-refuses": 4.0, "query-finds-nothing": 4.0}


AT_A_TIME = 3
"""Cases that run beside the test; more would make each wait for the two cores of a small machine."""


class Hands:
    """The world of the cases: each has an environment of two instances that run shop 1.0."""

    def __init__(self, world: World, scripts: Path) -> None:
        self.world = world
        self.scripts = scripts
        self.client = world.client()
        self._running: dict[str, Future[str]] = {}

    def run_all(self, cases: Sequence[pytest.Mark], pool: ThreadPoolExecutor) -> None:
        """Begin the cases that nobody has to touch while they run, a few at a time."""
        for mark in cases:
            self._running[mark.args[0]] = pool.submit(self._run, *mark.args, **mark.kwargs)

    def _run(self, case: str, *, bad: str = "", die: bool = False, **given: str) -> str:
        if bad or die:
            self.script(case, bad=bad, die=die)
        self.start(case, **given)
        return ends(self, case)

    def state(self, case: str) -> str:
        """The state that a case which runs by itself ends in."""
        return self._running[case].result()

    def script(self, case: str, **content: object) -> None:
        """What the case's logs hold from now on: ``bad`` is the end of the name of the instance that logs an error."""
        content = {"after": datetime.now(timezone.utc).isoformat(), **content}
        (self.scripts / f"{case}.json").write_text(json.dumps(content))

    def fault(self, case: str, **content: object) -> None:
        """Let the deployment API go wrong for the case's environment."""
        self.fleet("PUT", "/v1/faults", {"path_prefix": f"/v1/environments/{case}/", **content})

    def fleet(self, method: str, path: str, body: object = None) -> httpx.Response:
        """One request to the deployment API."""
        headers = {"Authorization": f"Bearer {self.world.fleet.token}"}
        answer = httpx.request(method, f"{self.world.fleet.api_url}{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer

    def process_of(self, dag_id: str, run_id: str, task_id: str) -> int:
        """Id of the process that a task runs in."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        return int(self.client.call("GET", path)["pid"])

    def send(self, path: str, **form: str) -> str:
        """Send a form of a page as its admin; gives the address of the page that it leads to."""
        server = self.world.airflow
        login = {"username": server.user, "password": server.password}
        token = httpx.post(f"{server.url}/auth/token", json=login, timeout=30).json()["access_token"]
        answer = httpx.post(server.url + path, data=form, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        assert answer.is_redirect, answer.text
        return answer.headers["location"]

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
            timeout=30,
        )
        answer.raise_for_status()

    def promoted(self, case: str, version: str) -> None:
        """Have a version there, healthy, and in the ledger as a run of the case's pipeline has promoted it."""
        ledger, release = self.world.ledger(), Release("shop", version, f"shop:{version}")
        place = {"pipeline": f"hands_{case}", "run_id": version, "ttl": timedelta(minutes=5)}
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
            seconds=60,
        )
        ledger.settlement.promote(deployment.id, token=lease.token, outcome="good")
        ledger.leases.release(lease)

    def artifacts(self, case: str) -> set[str | None]:
        return {row["artifact"] for row in self.world.running(case).values()}

    def drained(self, case: str) -> set[str]:
        return {name for name, row in self.world.running(case).items() if row["drained"]}

    def start(self, case: str, version: str = "1.1", run_id: str = "run", **conf: object) -> str:
        self.client.wait_for_dag(f"hands_{case}")
        return self.client.trigger(f"hands_{case}", {"version": version, **conf}, run_id=run_id)


@pytest.fixture(scope="package")
def hands(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hands]:
    scripts = tmp_path_factory.mktemp("scripts")
    (scripts / "cases.json").write_text(json.dumps(CASES))
    for case in CASES:
        (scripts / f"{case}.json").write_text("{}")
    users = {"admin": "admin", "alice": "op", "mallory": "op"}
    settings = {"HANDS_SCRIPTS": str(scripts), "PYTHONPATH": str(DAGS.parents[3])}
    environments = dict.fromkeys(CASES, 2)
    with World(dags=DAGS, environments=environments, rates=TRAFFIC, users=users, settings=settings) as world:
        release = Release("shop", "1.0", "shop:1.0")
        found = Hands(world, scripts)
        for case in CASES:
            found.put(case, release, token=0)
        for name, connection in other_connections(world).items():
            found.client.call("POST", "/api/v2/connections", {"connection_id": name, **connection})
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            found.run_all([mark for item in request.session.items for mark in item.iter_markers("runs")], pool)
            yield found


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
        "http_nowhere": {"conn_type": "deployment_api", "host": "http://127.0.0.1:9"},
        "new_relic_wrong": {
            "conn_type": "new_relic",
            "host": world.new_relic.url,
            "password": "NRAK-of-somebody-else",
            "extra": account,
        },
        "sumo_logic_wrong": {
            "conn_type": "sumo_logic",
            "host": world.sumo_logic.url,
            "login": world.sumo_logic.access_id,
            "password": "forgotten",
        },
    }


def ends(hands: Hands, case: str, run_id: str = "run") -> str:
    state = hands.client.wait_for_run(f"hands_{case}", run_id, seconds=240)
    assert hands.drained(case) == set()
    return state


def tasks(hands: Hands, case: str, run_id: str = "run") -> dict[str, str | None]:
    found = hands.client.tasks(f"hands_{case}", run_id)
    return {task.removeprefix(f"{case}."): state for task, state in found.items()}

"""The story in containers, on Airflow's own engine: two Celery workers, PostgreSQL and Redis."""

from __future__ import annotations

import httpx
import pytest

from airflow_cd.demo.story import NEW_EXCEPTIONS, PIPELINE, SERVICE, red_events

from .composed import JOBS, Composed

pytestmark = [pytest.mark.real, pytest.mark.e2e, pytest.mark.timeout(2400)]

WORKERS = {"worker-1", "worker-2"}
SERVICES = {"postgres", "redis", "api-server", "scheduler", "dag-processor", "triggerer", "fleet", *WORKERS, *JOBS}
VERIFY = "production.phase_20.verify"


@pytest.fixture(scope="module")
def told(composed: Composed) -> list[str]:
    """The lines in which the story was told, as README says it is, in brief."""
    said = composed("exec", "-T", "fleet", "airflow-cd", "demo", "--brief", "--on", "http://api-server:8080")
    return said.strip().splitlines()


@pytest.fixture(scope="module")
def runs(composed: Composed, told: list[str]) -> list[dict[str, str]]:
    """The pipeline's runs, the first one first."""
    with composed.airflow() as airflow:
        found: list[dict[str, str]] = airflow.call("GET", f"/api/v2/dags/{PIPELINE}/dagRuns?order_by=id")["dag_runs"]
    return found


def test_every_service_is_up_and_healthy(composed: Composed) -> None:
    assert set(composed.containers()) == SERVICES
    assert httpx.get(composed.url, follow_redirects=True).status_code == 200


def test_nothing_of_ours_runs_as_root_and_nothing_listens_beyond_this_machine(composed: Composed) -> None:
    for service, container in composed.containers().items():
        if service not in ("postgres", "redis"):
            assert container["Config"]["User"] == "airflow"
        for bindings in container["NetworkSettings"]["Ports"].values():
            assert {binding["HostIp"] for binding in bindings or ()} <= {"127.0.0.1"}
    assert composed("exec", "-T", "worker-1", "id", "--user").strip() == "50000"


def test_the_story_goes_as_it_must(told: list[str]) -> None:
    assert told[-1].startswith("AS EXPECTED: verdict FAIL")


def test_a_release_was_promoted_and_the_next_one_rolled_back(composed: Composed, runs: list[dict[str, str]]) -> None:
    assert [run["state"] for run in runs] == ["success", "failed"]
    production = composed.running("production")
    assert len(production) == 10
    assert {(row["artifact"], row["health"], row["drained"]) for row in production.values()} == {
        (f"{SERVICE}:1.0", "healthy", False)
    }
    assert {row["artifact"] for row in composed.running("staging").values()} == {f"{SERVICE}:1.2"}


def test_the_report_names_exactly_the_new_exceptions(composed: Composed, runs: list[dict[str, str]]) -> None:
    address = f"{composed.url}/airflow-cd/report/{PIPELINE}/{runs[-1]['dag_run_id']}/{VERIFY}/json"
    body = {"username": "admin", "password": composed.secrets["ADMIN_PASSWORD"]}
    token = httpx.post(f"{composed.url}/auth/token", json=body).json()["access_token"]
    answer = httpx.get(address, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    red = red_events(answer.json()["judgement"])
    assert len(red) == len({event["exception"] for event in red}) == NEW_EXCEPTIONS
    assert httpx.get(address).status_code == 401


def test_both_workers_had_a_part_in_it(composed: Composed, runs: list[dict[str, str]]) -> None:
    path = f"/api/v2/dags/{PIPELINE}/dagRuns/~/taskInstances?limit=500"
    with composed.airflow() as airflow:
        hosts = {row["hostname"] for row in airflow.call("GET", path)["task_instances"]} - {""}
    containers = composed.containers()
    assert hosts == {containers[worker]["Config"]["Hostname"] for worker in WORKERS}


def test_a_task_log_is_read_from_whichever_worker_wrote_it(composed: Composed, runs: list[dict[str, str]]) -> None:
    with composed.airflow() as airflow:
        said = airflow.task_log(PIPELINE, runs[-1]["dag_run_id"], "production.phase_20.rollback")
    assert "1.0" in said


def test_the_ledger_is_in_postgresql(composed: Composed, runs: list[dict[str, str]]) -> None:
    query = "select count(*) from cd_deployment where environment = 'production' and state = 'rolled_back'"
    psql = ("psql", "--username", "airflow", "--dbname", "airflow_cd", "--tuples-only", "--command", query)
    assert composed("exec", "-T", "postgres", *psql).strip() == "1"
    assert composed("exec", "-T", "worker-2", "sh", "-c", "ls /opt/airflow/*.db || true").strip() == ""

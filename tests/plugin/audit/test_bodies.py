"""What Airflow's API is never given: JSON nobody can read, and secrets that it would keep and show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_cd.plugin.audit.bodies import DEEPEST, is_too_deep, why_refused
from tests.plugin.audit.airflow_server import APPROVER, DAG_ID, RUN_ID, airflow_app, states

__all__ = ["airflow_app", "states"]

RUNS = f"/api/v2/dags/{DAG_ID}/dagRuns"


def nested(levels: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    return (opening * levels + "1" + closing * levels).encode()


@pytest.mark.parametrize("brackets", [('{"a":', "}"), ("[", "]"), ('[{"a":', "}]")])
def test_depth_is_counted_and_brackets_in_texts_are_not(brackets: tuple[str, str]) -> None:
    assert is_too_deep(nested(100_000, *brackets))
    assert not is_too_deep(nested(DEEPEST // 2, *brackets))
    assert not is_too_deep(json.dumps({"a": "[{" * 100_000, "b": '\\"[[[' * 10_000}).encode())
    assert not is_too_deep(json.dumps([[]] * 100_000).encode())


def trigger(conf: Any) -> bytes:
    return json.dumps({"logical_date": None, "conf": conf}).encode()


@pytest.mark.parametrize(
    "conf",
    [
        {"version": "1.2", "configuration": {"db_password": "tulip99"}},
        {"version": "1.2", "configuration": {"queue": "amqp://guest:tulip99@queue"}},
        {"version": "1.2", "configuration": json.dumps({"api_key": "tulip99"})},
        {"version": "1.2", "reason": "the new key is ghp_" + "a1B2" * 9},
    ],
    ids=["name", "address", "as text", "reason"],
)
def test_a_secret_is_refused_before_there_is_a_run(states: Any, conf: Any) -> None:
    refused = why_refused("POST", RUNS, trigger(conf))
    assert "Nothing was started" in refused
    assert "tulip99" not in refused
    assert "a1B2" not in refused


def test_what_holds_no_secret_and_what_is_not_ours_is_let_through(states: Any) -> None:
    secret = {"configuration": {"db_password": "tulip99"}}
    assert why_refused("POST", "/api/v2/dags/somebody_elses/dagRuns", trigger(secret)) == ""
    assert why_refused("PATCH", RUNS, trigger(secret)) == ""
    assert why_refused("POST", RUNS, b"{") == ""
    assert why_refused("POST", RUNS, trigger({"configuration": {"db_password": "secret:shop_db/password"}})) == ""
    assert why_refused("POST", RUNS, trigger({"version": "1.2", "configuration": None})) == ""


@pytest.mark.parametrize("path", [RUNS, "/api/v2/variables", f"{RUNS}/x/taskInstances/y"])
def test_airflow_answers_deep_json_with_a_reason(airflow_app: Any, states: Any, path: str) -> None:
    method = "PATCH" if "taskInstances" in path else "POST"
    client = TestClient(airflow_app, raise_server_exceptions=False)
    body = b'{"logical_date": null, "conf": ' + nested(100_000) + b"}"
    answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "nested in more than" in answer.json()["detail"]


def test_an_approver_is_not_above_it(airflow_app: Any, states: Any) -> None:
    assert APPROVER
    client = TestClient(airflow_app, raise_server_exceptions=False)
    answer = client.post(RUNS, content=trigger({"configuration": {"api_key": "tulip99"}}))
    assert answer.status_code == 422
    assert "tulip99" not in answer.text


def test_a_backfill_with_a_secret_is_refused(states: Any) -> None:
    body = {"dag_id": DAG_ID, "dag_run_conf": {"configuration": {"api_key": "tulip99"}}}
    refused = why_refused("POST", "/api/v2/backfills", json.dumps(body).encode())
    assert "Nothing was started" in refused
    assert "tulip99" not in refused
    assert why_refused("POST", "/api/v2/backfills", json.dumps(body | {"dag_id": "another"}).encode()) == ""


@pytest.mark.parametrize(("method", "key"), [("POST", ""), ("PATCH", "/airflow_cd_capture"), ("DELETE", "/a/b")])
def test_nobody_changes_what_tasks_hand_to_each_other(states: Any, method: str, key: str) -> None:
    task = f"{RUNS}/{RUN_ID}/taskInstances/production.deploy/xcomEntries"
    assert "not changed by hand" in why_refused(method, task + key, b'{"key": "airflow_cd_capture", "value": 1}')
    assert why_refused(method, task.replace("production.deploy", "of_the_author") + key, b"{}") == ""

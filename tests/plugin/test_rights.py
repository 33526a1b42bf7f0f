"""Rights of their own, records of logs, and whose page may change anything."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_cd.ledger import Ledger
from airflow_cd.plugin import access
from airflow_cd.plugin.access import Right
from airflow_cd.plugin.app import app
from tests.plugin.audit.airflow_server import airflow_app
from tests.plugin.conftest import ClientAs
from tests.plugin.report.report_world import address, told

__all__ = ["airflow_app"]

RECORD = "ERROR"
OWN = {
    "veto": ["/environment/p/s/e/lift"],
    "rollback": ["/environment/p/s/e/rollback", "/environment/p/s/e/stop"],
    "freeze": ["/environment/p/s/e/freeze"],
    "feedback": ["/report/p/r/t/feedback", "/report/p/r/t/undo"],
    "baseline": ["/report/p/r/t/baseline", "/report/p/r/t/baseline/undo"],
}
ALL = [(right, path) for right, paths in OWN.items() for path in paths]


def test_every_form_has_a_right() -> None:
    forms = {route.path for route in app.routes if "POST" in getattr(route, "methods", ())}
    named = {re.sub(r"/[prset](?=/)", "", path) for paths in OWN.values() for path in paths}
    shown = {re.sub(r"/\{[^}]+\}", "", path) for path in forms}
    # An approval has approvers of its own.
    assert shown - {"/approval"} == named


@pytest.mark.parametrize(("right", "path"), ALL)
def test_by_default_who_may_edit_runs_may_do_all_of_it(client_as: ClientAs, right: str, path: str) -> None:
    assert client_as("viewer").post(f"/airflow-cd{path}").status_code == 403
    assert client_as("user").post(f"/airflow-cd{path}").status_code != 403


@pytest.mark.parametrize("option", ["{right}", "all", " {right} , {right}", "{right}s"])
@pytest.mark.parametrize(("right", "path"), ALL)
def test_a_right_of_its_own_needs_more(
    client_as: ClientAs, monkeypatch: pytest.MonkeyPatch, right: str, path: str, option: str
) -> None:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__OWN_RIGHTS", option.format(right=right))
    refused = client_as("user").post(f"/airflow-cd{path}")
    assert refused.status_code == 403
    assert f"Airflow CD {right}" in refused.text
    assert client_as("op").post(f"/airflow-cd{path}").status_code != 403


@pytest.mark.parametrize(("right", "path"), ALL)
def test_another_right_that_is_its_own_changes_nothing(
    client_as: ClientAs, monkeypatch: pytest.MonkeyPatch, right: str, path: str
) -> None:
    others = ",".join(one.value for one in Right if one.value != right)
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__OWN_RIGHTS", others)
    assert client_as("user").post(f"/airflow-cd{path}").status_code != 403


def test_other_auth_managers_are_asked_for_a_custom_view(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Manager:
        def is_authorized_custom_view(self, **what: Any) -> bool:
            asked.append(what)
            return what["resource_name"] == "Airflow CD veto"

    monkeypatch.setattr(access, "get_auth_manager", Manager)
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__OWN_RIGHTS", "veto, rollback")
    ada: Any = object()
    assert [access.has_own_right(right, ada) for right in (Right.VETO, Right.ROLLBACK, Right.BASELINE)] == [
        True,
        False,
        True,
    ]
    assert asked[0] == {"method": "PUT", "resource_name": "Airflow CD veto", "user": ada}
    assert len(asked) == 2


def test_a_rollback_dag_cannot_be_triggered_around_the_right(
    airflow_app: Any, client_as: ClientAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__OWN_RIGHTS", "rollback")
    path, body = "/api/v2/dags/shop-rollback/dagRuns", {"logical_date": None, "conf": {"environment": "production"}}
    client = TestClient(airflow_app, base_url="http://airflow.test", raise_server_exceptions=False)
    client.cookies = client_as("user").cookies
    refused = client.post(path, json=body)
    assert refused.status_code == 403
    assert "Airflow CD rollback" in refused.json()["detail"]
    client.cookies = client_as("op").cookies
    assert client.post(path, json=body).status_code == 404


# -- records of logs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", "/html", "/json"])
def test_records_are_for_those_who_may_read_task_logs(
    client_as: ClientAs, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    deployment = told(ledger)
    events = ledger.verdicts.of(deployment.id)[-1].evidence["quality"]["events"]
    record = next(event["samples"][-1] for event in events if event["risk"])
    words = re.findall(r"[a-z_]{6,}", record.splitlines()[-1])
    whole = client_as("viewer").get(address() + suffix).text
    assert record.splitlines()[-1].split("'")[0][:20] in whole.replace("&#39;", "'").replace("\\n", "\n")
    monkeypatch.setattr("airflow_cd.plugin.report.page.may_read_logs", lambda dag_id, user: False)
    answer = client_as("viewer").get(address() + suffix)
    assert answer.status_code == 200
    assert words
    for event in events:
        for sample in event["samples"]:
            if "\n" in sample:
                assert sample.splitlines()[0] not in answer.text
    if suffix == "/json":
        assert answer.json()["records_hidden"] is True
        assert {len(event["samples"]) for event in answer.json()["judgement"]["quality"]["events"]} == {0}
    else:
        assert "for those who may read the task logs" in answer.text


def test_the_right_is_that_to_the_pipelines_task_logs(monkeypatch: pytest.MonkeyPatch, metadata: None) -> None:
    asked: list[dict[str, Any]] = []

    class Manager:
        def is_authorized_dag(self, **what: Any) -> bool:
            asked.append(what)
            return False

    monkeypatch.setattr(access, "get_auth_manager", Manager)
    assert access.may_read_logs("shop", object()) is False  # type: ignore[arg-type]
    assert asked[0]["method"] == "GET"
    assert asked[0]["access_entity"].value == "TASK_LOGS"
    assert asked[0]["details"].id == "shop"


# -- whose page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "headers", "may"),
    [
        ("http://airflow.test", {"Origin": "http://airflow.test"}, True),
        ("http://airflow.test", {"Origin": "http://airflow.test:80"}, True),
        ("https://airflow.test", {"Origin": "https://airflow.test"}, True),
        # A proxy that ends TLS, whether it says so or not.
        ("http://airflow.test", {"Origin": "https://airflow.test", "X-Forwarded-Proto": "https"}, True),
        ("http://airflow.test", {"Origin": "https://airflow.test"}, True),
        ("http://inside:8080", {"Origin": "https://airflow.test", "X-Forwarded-Host": "airflow.test"}, True),
        ("https://airflow.test", {"Origin": "http://airflow.test"}, False),
        ("http://airflow.test", {"Origin": "http://airflow.test", "X-Forwarded-Proto": "https"}, False),
        ("http://airflow.test", {"Origin": "http://airflow.test:8080"}, False),
        ("http://airflow.test", {"Origin": "ftp://airflow.test"}, False),
        ("http://airflow.test", {"Origin": "http://airflow.test.evil"}, False),
        ("http://airflow.test", {"Origin": "http://[broken"}, False),
        ("http://airflow.test", {"Origin": ""}, False),
        ("https://airflow.test", {"Referer": "http://airflow.test/airflow-cd/x"}, False),
        ("https://airflow.test", {"Referer": "https://airflow.test/airflow-cd/x"}, True),
    ],
)
def test_scheme_host_and_port_are_compared(
    client_as: ClientAs, server: str, headers: dict[str, str], may: bool
) -> None:
    client = client_as("user")
    client.base_url = server
    del client.headers["Origin"]
    answer = client.post("/airflow-cd/environment/p/s/e/lift", headers=headers)
    assert (answer.status_code != 403) is may


def test_the_configured_address_is_ours(client_as: ClientAs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://ci.example.com/airflow")
    headers = {"Origin": "https://ci.example.com"}
    assert client_as("user").post("/airflow-cd/environment/p/s/e/lift", headers=headers).status_code != 403

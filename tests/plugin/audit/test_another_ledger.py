"""A server with another ledger than Airflow's knows no approvers: it lets nobody through, and records nothing there."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cd.ledger import Ledger
from tests.plugin.audit.airflow_server import APPROVER, DAG_ID, RUN_ID, airflow_app, airflow_as, states
from tests.plugin.conftest import ANOTHER_LEDGER

__all__ = ["airflow_app", "airflow_as", "states"]

TASKS = f"/api/v2/dags/{DAG_ID}/dagRuns/{RUN_ID}/taskInstances"
REQUESTS = (
    ("PATCH", f"{TASKS}/approve", {"new_state": "success"}),
    ("PATCH", f"{TASKS}/approve/-1/hitlDetails", {"chosen_options": ["Approve"], "params_input": {}}),
    ("PATCH", f"{TASKS}/production.deploy", {"new_state": "success"}),
    (
        "POST",
        f"/api/v2/dags/{DAG_ID}/clearTaskInstances",
        {"dry_run": False, "dag_run_id": RUN_ID, "task_ids": ["approve"]},
    ),
)


@pytest.mark.parametrize("who", [APPROVER, "mallory"])
def test_nothing_is_done_or_recorded_by_a_server_with_another_ledger(
    airflow_as: Any, states: Any, ledger: Ledger, another_ledger: str, who: str
) -> None:
    client = airflow_as(who)
    for method, path, body in REQUESTS:
        answer = client.request(method, path, json=body)
        assert answer.status_code == 503, f"{method} {path}: {answer.text}"
        assert "this server's ledger is not the one this Airflow uses" in answer.json()["detail"]
    assert states("approve") == "awaiting_input"
    assert ledger.audit.actions() == []


def test_nothing_is_done_to_a_run_that_began_with_another_ledger(
    airflow_as: Any, states: Any, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = {(DAG_ID, RUN_ID): ANOTHER_LEDGER}
    monkeypatch.setattr("airflow_cd.plugin.audit.audited.ledger_of_run", lambda *run: began.get(run))
    answer = airflow_as(APPROVER).patch(REQUESTS[0][1], json=REQUESTS[0][2])
    assert answer.status_code == 503
    assert "this server's ledger is not the one this run began with" in answer.json()["detail"]
    assert states("approve") == "awaiting_input"

"""Whose approval counts for which run, and which tasks a mark is about, through Airflow's own API server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup

from airflow_cd.ledger import Ledger
from airflow_cd.operators import DeployOperator
from airflow_cd.plugin.audit.triggers import RequestedRun, run_refusal
from airflow_cd.sensors import ApprovalSensor
from tests.plugin.audit.airflow_server import (
    APPROVER,
    DAG_ID,
    RUN_ID,
    airflow_app,
    airflow_as,
    changed,
    running,
    states,
)

__all__ = ["airflow_app", "airflow_as", "states"]

RUN = f"/api/v2/dags/{DAG_ID}/dagRuns/{quote(RUN_ID)}"
AHEAD = f"{RUN}/taskInstances/production.lease"
SUCCESS = {"new_state": "success"}


def _approved(ledger: Ledger, *, dag_id: str = DAG_ID, **more: Any) -> None:
    ledger.questions.ask(
        pipeline=dag_id,
        run_id=RUN_ID,
        task_id="approve",
        options=["Approve", "Reject"],
        approvers=[APPROVER],
        subject="Deploy?",
        body="",
        deadline=None,
        **more,
    )
    ledger.questions.answer(dag_id, RUN_ID, "approve", option="Approve", who=APPROVER, why="fine")


def test_what_was_approved_for_a_deleted_run_is_shut_for_the_next_one_with_its_id(
    airflow_as: Any, states: Any, ledger: Ledger
) -> None:
    deleted = datetime.now(timezone.utc) - timedelta(hours=1)
    ledger.runs.begin(DAG_ID, RUN_ID, deleted)
    _approved(ledger)
    assert airflow_as("mallory").patch(AHEAD, json=SUCCESS).status_code == 403
    assert states("production.lease") == ""
    assert ledger.questions.get(DAG_ID, RUN_ID, "approve") is None


def test_what_was_approved_before_the_approval_was_cleared_is_shut(
    airflow_as: Any, states: Any, ledger: Ledger
) -> None:
    changed(max_tries=6)
    _approved(ledger, life=5)
    assert airflow_as("mallory").patch(AHEAD, json=SUCCESS).status_code == 403
    changed(max_tries=5)
    assert airflow_as("mallory").patch(AHEAD, json=SUCCESS).status_code == 200


@pytest.mark.parametrize("life", [None, 4])
def test_nobody_approves_what_was_not_shown_yet(airflow_as: Any, states: Any, ledger: Ledger, life: int | None) -> None:
    changed(max_tries=5, state=None)
    if life is not None:
        _approved(ledger, life=life)
    refused = airflow_as(APPROVER).patch(f"{RUN}/taskInstances/approve", json=SUCCESS)
    assert (refused.status_code, "approve has not asked yet" in refused.text) == (409, True)
    assert states("approve") == ""


# -- groups of the author's own ----------------------------------------------------------------------------------


@pytest.fixture
def by_hand(metadata: None) -> Iterator[Any]:
    """An approval and what follows in groups whose names are in no task's id."""
    place: dict[str, Any] = {"service": "shop", "environment": "production", "target": "http_production"}
    with DAG("by_hand", schedule=None) as dag, TaskGroup("release", prefix_group_id=False):
        with TaskGroup("europe", prefix_group_id=False):
            approve = ApprovalSensor(task_id="approve", approvers=[APPROVER])
        with TaskGroup("rollout", prefix_group_id=False):
            deploy = DeployOperator(task_id="deploy", **place)
        with TaskGroup("approve_notes", prefix_group_id=False):
            EmptyOperator(task_id="notes")
        approve >> deploy
    with running(dag, before=()) as state:
        yield state


@pytest.mark.parametrize("group", ["release", "europe", "rollout"])
def test_a_group_is_what_is_in_it_whatever_its_tasks_are_called(
    airflow_as: Any, by_hand: Any, ledger: Ledger, group: str
) -> None:
    refused = airflow_as("mallory").patch(
        f"/api/v2/dags/by_hand/dagRuns/{quote(RUN_ID)}/taskGroupInstances/{group}", json=SUCCESS
    )
    assert (refused.status_code, "mallory is not an approver of approve" in refused.text) == (403, True)
    assert (by_hand("approve"), by_hand("deploy")) == ("awaiting_input", "")


def test_a_group_beside_the_approval_is_open_to_everybody(airflow_as: Any, by_hand: Any, ledger: Ledger) -> None:
    answered = airflow_as("mallory").patch(
        f"/api/v2/dags/by_hand/dagRuns/{quote(RUN_ID)}/taskGroupInstances/approve_notes", json=SUCCESS
    )
    assert answered.status_code == 200
    assert by_hand("notes") == "success"


def test_marking_the_group_of_an_approval_is_its_approvers_answer(
    airflow_as: Any, by_hand: Any, ledger: Ledger
) -> None:
    ledger.questions.ask(
        pipeline="by_hand",
        run_id=RUN_ID,
        task_id="approve",
        options=["Approve", "Reject"],
        approvers=[APPROVER],
        subject="Deploy?",
        body="",
        deadline=None,
    )
    answered = airflow_as(APPROVER).patch(
        f"/api/v2/dags/by_hand/dagRuns/{quote(RUN_ID)}/taskGroupInstances/europe", json={**SUCCESS, "note": "fine"}
    )
    assert answered.status_code == 200
    question = ledger.questions.get("by_hand", RUN_ID, "approve")
    assert question is not None
    assert (question.option, question.who, question.why) == ("Approve", APPROVER, "fine")


# -- runs that should not begin ----------------------------------------------------------------------------------

TRIGGER = f"/api/v2/dags/{DAG_ID}/dagRuns"


def _runs() -> int:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        return session.scalars(select(func.count()).select_from(DagRun)).one()


@pytest.mark.parametrize("name", ["overides", "rollback_mode", "Version"])
def test_a_run_with_a_misspelt_parameter_is_not_started(
    airflow_as: Any, states: Any, ledger: Ledger, name: str
) -> None:
    body = {"logical_date": None, "conf": {"version": "2.0", name: "askk"}}
    refused = airflow_as("ada").post(TRIGGER, json=body)
    assert (refused.status_code, "did you mean" in refused.text) == (422, True)
    assert _runs() == 1


def test_a_run_does_not_begin_at_the_very_time_of_an_earlier_one_with_its_id(
    airflow_as: Any, states: Any, ledger: Ledger
) -> None:
    at = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
    ledger.runs.begin(DAG_ID, "release-7", at)
    body = {"logical_date": None, "dag_run_id": "release-7", "conf": {"version": "6.6"}}
    for written in ("2026-11-28T12:00:00Z", "2026-11-28T13:00:00+01:00", "2026-11-28T12:00:00"):
        refused = airflow_as("mallory").post(TRIGGER, json={**body, "run_after": written})
        assert refused.status_code == 409
    assert run_refusal(RequestedRun(DAG_ID, "release-7", {"version": "6.6"})) is None
    assert run_refusal(RequestedRun(DAG_ID, "release-8", {"version": "6.6"}, at.isoformat())) is None


def test_a_dag_written_by_hand_is_started_with_anything(by_hand: Any, ledger: Ledger) -> None:
    assert run_refusal(RequestedRun("by_hand", "", {"anything": "goes"})) is None
    assert run_refusal(RequestedRun("unknown", "", {"anything": "goes"})) is None


def test_somebody_who_is_nobody_is_told_nothing_of_parameters(airflow_as: Any, states: Any, ledger: Ledger) -> None:
    assert airflow_as(None).post(TRIGGER, json={"logical_date": None, "conf": {"zzz": 1}}).status_code == 401

"""Labels: what people read for what code names by members of enumerations."""

from __future__ import annotations

import pytest

from airflow_cd.plugin.states import ServiceState
from airflow_cd.plugin.words import SERVICE_STATES, approvers_label, deployment_label
from airflow_cd.report.manual_actions import manual_action_label
from airflow_cd.states import DeploymentState


@pytest.mark.parametrize(
    ("state", "rollback", "label"),
    [
        (DeploymentState.RUNNING, False, "in progress"),
        (DeploymentState.RUNNING, True, "rolling back to 1.1"),
        (DeploymentState.PROMOTED, False, "promoted"),
        (DeploymentState.PROMOTED, True, "rolled back to 1.1"),
        (DeploymentState.ROLLED_BACK, False, "rolled back"),
        (DeploymentState.ROLLBACK_FAILED, True, "rollback failed"),
        ("a_newer_state", False, "a newer state"),
    ],
)
def test_a_deployment(state: str, rollback: bool, label: str) -> None:
    assert deployment_label(state, "1.1", rollback=rollback) == label
    assert deployment_label(str(state), "1.1", rollback=rollback) == label


@pytest.mark.parametrize(
    ("action", "option", "label"),
    [
        ("marked failed", None, "marked the task failed"),
        ("lift veto", None, "lifted the veto"),
        ("a newer action", None, "a newer action"),
        ("answered", "Approve", "answered “Approve”"),
        ("answered Roll back", None, "answered “Roll back”"),
        ("cleared run", None, "cleared the run"),
    ],
)
def test_a_manual_action(action: str, option: str | None, label: str) -> None:
    assert manual_action_label(action, option) == label


def test_who_may_answer() -> None:
    assert approvers_label(("bob", "eve")) == "bob or eve"
    assert approvers_label(()) == "anyone who may edit the run"


def test_every_filter_has_a_label() -> None:
    assert set(SERVICE_STATES) == set(ServiceState)

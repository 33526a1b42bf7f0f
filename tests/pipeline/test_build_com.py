"""The DAG of dags/build_com.py, pinned task for task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

FILE = Path(__file__).parents[2] / "dags" / "build_com.py"

# By task id: operator, upstream tasks, trigger rule, retries, seconds between them, setup or teardown.
TASKS: dict[str, tuple[str, list[str], str, int, int, str]] = {
    "approve": ("ApprovalSensor", ["edu.deploy", "sandbox.deploy", "staging.deploy"], "all_success", 5, 1, ""),
    "dev.deploy": ("DeployOperator", ["dev.lease"], "all_success", 0, 300, ""),
    "dev.lease": ("LeaseSensor", [], "all_success", 3, 2, "setup"),
    "dev.settle": ("SettleOperator", ["dev.deploy", "dev.lease"], "all_done_setup_success", 3, 2, "teardown"),
    "edu.deploy": ("DeployOperator", ["edu.lease"], "all_success", 0, 300, ""),
    "edu.lease": ("LeaseSensor", ["dev.deploy", "test.deploy"], "all_success", 3, 2, "setup"),
    "edu.settle": ("SettleOperator", ["edu.deploy", "edu.lease"], "all_done_setup_success", 3, 2, "teardown"),
    "production.lease": ("LeaseSensor", ["approve"], "all_success", 3, 2, "setup"),
    "production.phase_100.deploy": ("CanaryDeployOperator", ["production.phase_20.verify"], "all_success", 0, 300, ""),
    "production.phase_100.mark": ("DeploymentMarkerOperator", ["production.phase_100.deploy"], "all_success", 3, 2, ""),
    "production.phase_100.rollback": (
        "RollbackOperator",
        ["production.phase_100.deploy", "production.phase_100.verify"],
        "all_done",
        3,
        2,
        "",
    ),
    "production.phase_100.verify": ("VerifyOperator", ["production.phase_100.mark"], "all_success", 3, 1, ""),
    "production.phase_20.deploy": ("CanaryDeployOperator", ["production.lease"], "all_success", 0, 300, ""),
    "production.phase_20.mark": ("DeploymentMarkerOperator", ["production.phase_20.deploy"], "all_success", 3, 2, ""),
    "production.phase_20.rollback": (
        "RollbackOperator",
        ["production.phase_20.deploy", "production.phase_20.verify"],
        "all_done",
        3,
        2,
        "",
    ),
    "production.phase_20.verify": ("VerifyOperator", ["production.phase_20.mark"], "all_success", 3, 1, ""),
    "production.promote": ("PromoteOperator", ["production.phase_100.verify"], "all_success", 3, 2, ""),
    "production.settle": (
        "SettleOperator",
        ["production.lease", "production.phase_100.rollback", "production.phase_20.rollback", "production.promote"],
        "all_done_setup_success",
        3,
        2,
        "teardown",
    ),
    "sandbox.deploy": ("DeployOperator", ["sandbox.lease"], "all_success", 0, 300, ""),
    "sandbox.lease": ("LeaseSensor", ["dev.deploy", "test.deploy"], "all_success", 3, 2, "setup"),
    "sandbox.settle": (
        "SettleOperator",
        ["sandbox.deploy", "sandbox.lease"],
        "all_done_setup_success",
        3,
        2,
        "teardown",
    ),
    "staging.deploy": ("DeployOperator", ["staging.lease"], "all_success", 0, 300, ""),
    "staging.lease": ("LeaseSensor", ["dev.deploy", "test.deploy"], "all_success", 3, 2, "setup"),
    "staging.settle": (
        "SettleOperator",
        ["staging.deploy", "staging.lease"],
        "all_done_setup_success",
        3,
        2,
        "teardown",
    ),
    "test.deploy": ("DeployOperator", ["test.lease"], "all_success", 0, 300, ""),
    "test.lease": ("LeaseSensor", [], "all_success", 3, 2, "setup"),
    "test.settle": ("SettleOperator", ["test.deploy", "test.lease"], "all_done_setup_success", 3, 2, "teardown"),
}


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(FILE)).dags


def _kind(task: Any) -> str:
    return "setup" if task.is_setup else "teardown" if task.is_teardown else ""


def test_its_tasks_are_what_they_always_were(dags: dict[str, DAG]) -> None:
    found = {
        task.task_id: (
            task.task_type,
            sorted(task.upstream_task_ids),
            str(task.trigger_rule.value),
            task.retries,
            task.retry_delay.total_seconds(),
            _kind(task),
        )
        for task in dags["build_com"].tasks
    }
    assert found == TASKS
    teardowns = {task.task_id: task.on_failure_fail_dagrun for task in dags["build_com"].tasks if task.is_teardown}
    assert set(teardowns.values()) == {True}


def test_its_verifications_branch_to_the_next_phase_or_back(dags: dict[str, DAG]) -> None:
    verifies = [task for task in dags["build_com"].tasks if task.task_type == "VerifyOperator"]
    assert {task.task_id: (task.follow, task.rollback) for task in verifies} == {
        "production.phase_20.verify": ("production.phase_100.deploy", "production.phase_20.rollback"),
        "production.phase_100.verify": ("production.promote", "production.phase_100.rollback"),
    }


@pytest.mark.parametrize(
    ("dag_id", "names", "required"),
    [
        ("build_com", ["version", "configuration", "reason", "rollback", "learn"], "version"),
        ("build_com-rollback", ["environment", "release", "reason"], "reason"),
    ],
)
def test_the_trigger_form_is_in_the_dag_and_in_none_of_its_tasks(
    dags: dict[str, DAG], dag_id: str, names: list[str], required: str
) -> None:
    stored = DagSerialization.to_dict(dags[dag_id])["dag"]
    assert [name for name, _ in stored["params"]] == names
    assert not [task["__var"]["task_id"] for task in stored["tasks"] if "params" in task["__var"]]
    read = DagSerialization.from_dict({"__version": 3, "dag": stored})
    assert read.params.get_param(required).schema["minLength"] == 1
    with pytest.raises(ParamValidationError):
        dags[dag_id].params.get_param(required).resolve("")


def test_a_run_reads_them_from_the_dag(dags: dict[str, DAG]) -> None:
    from airflow.sdk.definitions.param import process_params

    dag = dags["build_com"]
    task = dag.get_task("dev.deploy")
    asked = {"version": "1.2", "configuration": {"limit": 7}}
    params = process_params(dag, task, asked, suppress_exception=False)
    assert params == {**asked, "reason": "", "rollback": "automatic", "learn": False}
    with pytest.raises(ParamValidationError):
        process_params(dag, task, {"version": "1.2", "rollback": "sometimes"}, suppress_exception=False)

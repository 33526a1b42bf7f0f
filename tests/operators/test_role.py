"""Pages recognise our tasks in a serialized DAG by their role, whatever their class is called."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_cd import Approval, Canary, Environment, Pipeline, Verification
from airflow_cd.operators import DeployOperator, role_of
from airflow_cd.pipeline.rollback_dag import build_rollback
from airflow_cd.sensors import ApprovalSensor
from airflow_cd.sources import SumoLogicLogs
from airflow_cd.states import Role

SHOP = {"service": "shop", "environment": "dev", "target": "http_dev"}


class CarefulRollout(DeployOperator):
    """A user's own, with an argument that Airflow CD does not know, and a name of its own for it."""

    def __init__(self, *, role: str = "deployer", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.role = role  # type: ignore[misc]


class FourEyes(ApprovalSensor):
    template_fields = ("version",)


class Warehouse(EmptyOperator):
    """Of another package: what it calls a role is a database's."""

    role = "deploy"
    template_fields = ("role",)


def _roles(dag: DAG | None) -> dict[str, Role | None]:
    read = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    return {task_id: role_of(task) for task_id, task in read.task_dict.items()}


def test_every_task_of_a_pipeline_has_its_role() -> None:
    verify = Verification(logs=[SumoLogicLogs(query="_sourceCategory=production/shop")])
    canary = Canary(Environment("production"), phases=[20, 100], verify=verify, mark=["new_relic_default"])
    pipeline = Pipeline("shop", stages=[Environment("dev"), Approval(), EmptyOperator(task_id="smoke"), canary])
    roles = _roles(pipeline.dag())
    assert roles.pop("smoke") is None
    assert roles.pop("approve") is Role.APPROVAL
    assert roles == {task_id: Role(task_id.rsplit(".", 1)[1]) for task_id in roles}
    assert set(roles.values()) == set(Role) - {Role.APPROVAL, Role.ROLLBACK_TO}
    assert _roles(build_rollback(pipeline)) == {
        "rollback.lease": Role.LEASE,
        "rollback.deploy": Role.ROLLBACK_TO,
        "rollback.settle": Role.SETTLE,
    }


def test_a_users_subclass_has_it_and_another_packages_operator_has_none() -> None:
    with DAG("by_hand", schedule=None) as dag:
        CarefulRollout(task_id="rollout", **SHOP)
        FourEyes(task_id="eyes")
        Warehouse(task_id="warehouse")
    assert _roles(dag) == {"rollout": Role.DEPLOY, "eyes": Role.APPROVAL, "warehouse": None}


def test_a_mapped_task_has_it_too() -> None:
    with DAG("mapped", schedule=None) as dag:
        CarefulRollout.partial(task_id="rollout", service="shop", target={"dev": "http_dev"}).expand(
            environment=["dev", "test"]
        )
        EmptyOperator.partial(task_id="other").expand(task_display_name=["a"])
    assert _roles(dag) == {"rollout": Role.DEPLOY, "other": None}
    mapped = dag.get_task("rollout")
    assert mapped.unmap({"environment": "dev"}).environment == "dev"

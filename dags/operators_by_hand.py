"""The operators used by hand in a plain DAG: a canary of half the instances, verified by its logs alone."""

from airflow.sdk import DAG, Param

from airflow_cd import Verification
from airflow_cd.operators import (
    CanaryDeployOperator,
    PromoteOperator,
    RollbackOperator,
    SettleOperator,
    VerifyOperator,
)
from airflow_cd.sensors import ApprovalSensor, LeaseSensor
from airflow_cd.sources import SumoLogicLogs

STAGING = {"service": "shop", "environment": "staging", "target": "http_staging"}

with DAG("operators_by_hand", schedule=None, params={"version": Param(type="string", minLength=1)}) as dag:
    approve = ApprovalSensor(task_id="approve", service="shop", environments=["staging"])
    lease = LeaseSensor(task_id="lease", **STAGING)
    half = CanaryDeployOperator(task_id="half", phase="half", share=50, **STAGING)
    verify = VerifyOperator(
        task_id="verify",
        phase="half",
        verification=Verification(logs=[SumoLogicLogs(query="_sourceCategory=staging/shop")], duration="5m"),
        follow="whole",
        rollback="rollback",
        **STAGING,
    )
    whole = CanaryDeployOperator(task_id="whole", phase="whole", share=100, **STAGING)
    promote = PromoteOperator(task_id="promote", **STAGING)
    rollback = RollbackOperator(task_id="rollback", phase="half", verify_task_id="verify", **STAGING)
    settle = SettleOperator(task_id="settle", **STAGING)

    approve >> lease >> half >> verify >> [whole, rollback]
    half >> rollback
    whole >> promote
    [promote, rollback] >> settle.as_teardown(setups=lease, on_failure_fail_dagrun=True)

"""Airflow operators: deploy, mark, verify, promote, roll back, settle. Each works alone in a hand-written DAG."""

from __future__ import annotations

from airflow_cd.operators.deploy import CanaryDeployOperator, DeployOperator
from airflow_cd.operators.mark import DeploymentMarkerOperator
from airflow_cd.operators.promote import PromoteOperator
from airflow_cd.operators.role import is_bound, role_of
from airflow_cd.operators.rollback import RollbackOperator
from airflow_cd.operators.rollback_to import RollbackToOperator
from airflow_cd.operators.settle import SettleOperator
from airflow_cd.operators.verify import VerifyOperator

__all__ = [
    "CanaryDeployOperator",
    "DeployOperator",
    "DeploymentMarkerOperator",
    "PromoteOperator",
    "RollbackOperator",
    "RollbackToOperator",
    "SettleOperator",
    "VerifyOperator",
    "is_bound",
    "role_of",
]

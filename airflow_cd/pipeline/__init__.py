"""What authors write, and the DAGs it becomes."""

from __future__ import annotations

from airflow_cd.pipeline.environment import Environment
from airflow_cd.pipeline.specification import Approval, Pipeline
from airflow_cd.pipeline.strategies import BlueGreen, Canary, Phase

__all__ = ["Approval", "BlueGreen", "Canary", "Environment", "Phase", "Pipeline"]

"""What authors write, and the DAGs it becomes."""

from __future__ import annotations

from airflow_cd.pipeline.specification import Approval, Canary, Environment, Pipeline

__all__ = ["Approval", "Canary", "Environment", "Pipeline"]

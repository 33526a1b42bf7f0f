"""Continuous delivery on Apache Airflow: pipelines that deploy, verify and roll back by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_cd.commits import GitRepository
    from airflow_cd.pipeline import Approval, BlueGreen, Canary, Environment, Phase, Pipeline
    from airflow_cd.release import Release
    from airflow_cd.verification.logs.feedback import Expected
    from airflow_cd.verification.metrics.thresholds import Threshold
    from airflow_cd.verification.settings import Verification

__version__ = "0.1.0"
__all__ = [
    "Approval",
    "BlueGreen",
    "Canary",
    "Environment",
    "Expected",
    "GitRepository",
    "Phase",
    "Pipeline",
    "Release",
    "Threshold",
    "Verification",
    "__version__",
]

_HOMES = {
    "Approval": "airflow_cd.pipeline",
    "BlueGreen": "airflow_cd.pipeline",
    "Canary": "airflow_cd.pipeline",
    "Environment": "airflow_cd.pipeline",
    "Expected": "airflow_cd.verification.logs.feedback",
    "GitRepository": "airflow_cd.commits",
    "Phase": "airflow_cd.pipeline",
    "Pipeline": "airflow_cd.pipeline",
    "Release": "airflow_cd.release",
    "Threshold": "airflow_cd.verification.metrics.thresholds",
    "Verification": "airflow_cd.verification.settings",
}


def __getattr__(name: str) -> Any:
    """Import what an author writes when it is asked for: every process of ours imports this module."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

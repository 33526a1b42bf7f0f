"""Kubernetes: a Deployment as an environment, with a canary beside it."""

from airflow_cd.targets.kubernetes.target import KubernetesTarget

__all__ = ["KubernetesTarget"]

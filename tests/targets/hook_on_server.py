"""A hook on a scripted server, and how to define its connection."""

from __future__ import annotations

from collections.abc import Callable

from airflow_cd.hooks.deployment_api import DeploymentApiHook

TOKEN = "s3cr3t-t0ken"

Connect = Callable[..., str]
"""Defines an Airflow connection from its fields, and returns its id."""


def quick(hook: DeploymentApiHook) -> DeploymentApiHook:
    """Make the hook skip its pauses, and remember them."""
    hook.pauses = []  # type: ignore[attr-defined]
    hook._sleep = hook.pauses.append  # type: ignore[attr-defined]
    return hook

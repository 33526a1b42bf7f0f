"""Lets a scheduler whose executor forks tasks from it import first what they all need."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from airflow.listeners import hookimpl


@hookimpl
def on_starting(component: Any) -> None:
    """Import what tasks need; Airflow calls it when a component's job begins, which is before it forks.

    :param component: the job.
    """
    if "scheduler" in sys.argv[1:2] and _forks():
        importlib.import_module("airflow_cd.preloaded")


def _forks() -> bool:
    from airflow.configuration import conf

    return "LocalExecutor" in str(conf.get("core", "executor", fallback=""))

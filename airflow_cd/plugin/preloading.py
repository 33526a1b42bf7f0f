"""Imports, in a scheduler whose executor forks tasks from it, what every task of ours would import by itself.

A task of Airflow CD takes 0.2 s of a processor for the imports of its pipeline's file and of the ledger, one that
verifies 0.6 s: a fork of a process that has done so needs none of it, and a rollback begins that much sooner.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)

MODULES = ("airflow_cd.pipeline", "airflow_cd.delivery.delivery", "airflow_cd.verification.watch", "requests", "pandas")


@hookimpl
def on_starting(component: Any) -> None:
    """Import what tasks need; Airflow calls it when a component's job begins, which is before it forks.

    :param component: the job.
    """
    if "scheduler" not in sys.argv[1:2] or not _forks():
        return
    for module in MODULES:
        try:
            importlib.import_module(module)
        except Exception:
            # The task that needs it will say so, to whom it concerns.
            log.exception("%s could not be imported ahead of the tasks that need it", module)


def _forks() -> bool:
    from airflow.configuration import conf

    return "LocalExecutor" in str(conf.get("core", "executor", fallback=""))

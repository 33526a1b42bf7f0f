"""Imports, in a scheduler whose executor forks tasks from it, what every task of ours would import by itself.

By itself a task of Airflow CD takes half a second of a processor for the imports of its pipeline's file, another 0.2 s
for those of the ledger and the deployment API, and one that verifies 0.6 s more. A fork of a process that has done so
takes 0.1 s to its first line, and a rollback begins that much sooner.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)

MODULES = (
    "airflow_cd.pipeline.dag",
    "airflow_cd.pipeline.rollback_dag",
    "airflow_cd.sources",
    "airflow_cd.ledger",
    "airflow_cd.delivery.delivery",
    "airflow_cd.delivery.learned",
    "airflow_cd.delivery.watched",
    "airflow_cd.hooks.deployment_api",
    "airflow_cd.verification.watch",
    "airflow_cd.verification.logs.recognition",
    "airflow_cd.verification.logs.refining",
    "airflow.providers.standard.operators.python",
    "requests",
    "pandas",
    "scipy.special",
)
"""What pipelines' files and their tasks import, but for the clients of further targets and sources, which not everybody
has installed."""


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

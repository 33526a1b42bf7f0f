"""Importing this module imports what every task of Airflow CD needs: for a process that forks tasks, before it does.

A scheduler with the LocalExecutor does so by itself (:mod:`airflow_cd.plugin.preloading`); a Celery worker does where
its configuration says so (``[celery] extra_celery_config`` with ``{"imports": ["airflow_cd.preloaded"]}``).

By itself a task takes half a second of a processor for the imports of its pipeline's file, another 0.2 s for those of
the ledger and the deployment API, and one that verifies 0.6 s more. A fork of a process that has them takes 0.1 s to
its first line, and a rollback begins that much sooner.
"""

from __future__ import annotations

import importlib
import logging

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

for module in MODULES:
    try:
        importlib.import_module(module)
    except Exception:
        # The task that needs it will say so, to whom it concerns.
        log.exception("%s could not be imported ahead of the tasks that need it", module)

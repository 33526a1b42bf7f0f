"""A run's delivery to an environment whose platform makes replicas or revisions, and two releases of its service."""

from __future__ import annotations

from datetime import timedelta

from airflow_cd.delivery import Delivery
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from airflow_cd.targets.base import ReplicaTarget

OLD = Release("shop", "1.1", "shop:1.1", {"limit": 5})
NEW = Release("shop", "1.2", "shop:1.2", {"limit": 7})


def delivery(ledger: Ledger, target: ReplicaTarget, run_id: str = "run-1") -> Delivery:
    """The environment in the hands of a run."""
    return Delivery(
        ledger,
        target,
        pipeline="shop",
        run_id=run_id,
        service="shop",
        environment="production",
        log=lambda line: None,
        timeout=timedelta(seconds=0.3),
    )

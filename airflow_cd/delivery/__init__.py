"""Deploying, draining, promoting and rolling back one environment, under a lease, recorded in the ledger.

Knows nothing of Airflow: operators hand in who they are and what is wanted, and are told what became of it.
"""

from airflow_cd.delivery.capture import capture, choose_instances, share_of
from airflow_cd.delivery.delivery import Delivery, Restored

__all__ = ["Delivery", "Restored", "capture", "choose_instances", "share_of"]

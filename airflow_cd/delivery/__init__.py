"""Deploying, draining, promoting and rolling back one environment, under a lease, recorded in the ledger.

Knows nothing of Airflow: operators say who they are and what is wanted, and get back what became of it.
"""

from airflow_cd.clock import now
from airflow_cd.delivery.capture import capture, choose_instances, share_of
from airflow_cd.delivery.delivery import Delivery, Restored
from airflow_cd.delivery.keeping import LEASE_TTL

__all__ = ["LEASE_TTL", "Delivery", "Restored", "capture", "choose_instances", "now", "share_of"]
